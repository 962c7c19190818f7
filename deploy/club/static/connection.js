// The sound: one RTCPeerConnection, negotiated once and after that only to restart ICE. Three audio
// m-lines, one for each voice that can be heard at a time, and one for all voices in one: what the server
// sends on a line that is too narrow for three. The first is `sendrecv`, so the microphone can be attached
// later without a word to the server about it.

const SLOTS = 3;
const MIXES = 1;

export class AudioConnection {
  #pc = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
  #speakers = document.createElement("div");
  #uplink;
  #onState;

  /**
   * @param {object} on
   * @param {(state: RTCPeerConnectionState) => void} on.onState
   * @param {() => void} on.onBlocked the browser wants a click before there is sound
   */
  constructor({ onState, onBlocked }) {
    this.#onState = onState;
    this.#uplink = this.#pc.addTransceiver("audio", { direction: "sendrecv" });
    for (let line = 1; line < SLOTS + MIXES; line += 1) {
      this.#pc.addTransceiver("audio", { direction: "recvonly" });
    }
    this.#pc.addEventListener("connectionstatechange", () => onState(this.#pc.connectionState));
    this.#pc.addEventListener("track", ({ track }) => this.#attach(track, onBlocked));
    this.#speakers.hidden = true;
    document.body.append(this.#speakers);
  }

  get isUp() {
    return this.#pc.connectionState === "connected";
  }

  async offer() {
    await this.#pc.setLocalDescription();
    return this.#sdp();
  }

  /** The offer of an ICE restart: new credentials, everything else as before. */
  async restart() {
    if (this.#pc.signalingState !== "stable") await this.#pc.setLocalDescription({ type: "rollback" });
    this.#pc.restartIce();
    await this.#pc.setLocalDescription();
    return this.#sdp();
  }

  /** @param {string} answer */
  async accept(answer) {
    await this.#pc.setRemoteDescription({ type: "answer", sdp: answer });
    // A goodbye of the server shows here at once; the connection's own state takes seconds to follow.
    const dtls = this.#uplink.sender.transport;
    if (!dtls) return;
    dtls.onstatechange = () => {
      if (dtls.state === "closed") this.#onState("closed");
    };
  }

  /** @param {MediaStreamTrack | null} track */
  async send(track) {
    if (this.#pc.connectionState !== "closed") await this.#uplink.sender.replaceTrack(track);
  }

  resumeSound() {
    for (const element of this.#speakers.querySelectorAll("audio")) element.play().catch(() => undefined);
  }

  close() {
    this.#pc.close();
    this.#speakers.remove();
  }

  #sdp() {
    const description = this.#pc.localDescription;
    if (!description) throw new Error("no description");
    return description.sdp;
  }

  /**
   * @param {MediaStreamTrack} track
   * @param {() => void} onBlocked
   */
  #attach(track, onBlocked) {
    const element = document.createElement("audio");
    element.autoplay = true;
    // A stream of its own: tracks of one stream are synchronised, which only adds delay here.
    element.srcObject = new MediaStream([track]);
    this.#speakers.append(element);
    element.play().catch((error) => {
      if (error.name === "NotAllowedError") onBlocked();
    });
  }
}
