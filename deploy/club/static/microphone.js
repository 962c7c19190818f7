// The microphone. It is asked for when a person on stage first wants to speak, and outlives connections:
// whoever talked before a lost line talks after it.

export class Microphone {
  /** @type {MediaStreamTrack | null} */
  #track = null;
  #talking = false;
  #onTrack;

  /** @param {(track: MediaStreamTrack | null) => void} onTrack gets the track whenever it is another one */
  constructor(onTrack) {
    this.#onTrack = onTrack;
  }

  get track() {
    return this.#track;
  }

  /** Asks the person; rejects when the answer is no or there is none. */
  async open() {
    if (this.#track) return;
    if (!navigator.mediaDevices) throw new DOMException("", "SecurityError");
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    const track = stream.getAudioTracks()[0];
    if (!track) throw new DOMException("", "NotFoundError");
    track.enabled = this.#talking;
    // Its device was pulled out, or went away with its headset: the next best one takes over.
    track.addEventListener("ended", () => this.#replace(track));
    this.#track = track;
    this.#onTrack(track);
  }

  /**
   * A muted microphone sends silence at once, before the server hears of it.
   * @param {boolean} talking
   */
  setTalking(talking) {
    this.#talking = talking;
    if (this.#track) this.#track.enabled = talking;
  }

  close() {
    if (!this.#track) return;
    this.#track.stop();
    this.#track = null;
    this.#onTrack(null);
  }

  /** @param {MediaStreamTrack} ended */
  async #replace(ended) {
    if (this.#track !== ended) return;
    this.#track = null;
    try {
      await this.open();
    } catch {
      this.#onTrack(null);
    }
  }
}
