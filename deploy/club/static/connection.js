// The sound: one RTCPeerConnection, negotiated once. Three audio m-lines, one for each voice that can
// be heard at a time, and one for all voices in one: what the server sends on a line that is too
// narrow for three. The first is `sendrecv`, so the microphone can be attached later without a word to
// the server about it.

const SLOTS = 3;
const MIXES = 1;

export class AudioConnection {
  #pc = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
  #speakers = document.createElement("div");
  #uplink;
  #microphone = null;
  #onState;

  // onState(state) gets the connection's state; onBlocked() that the browser wants a click before sound.
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

  get hasMicrophone() {
    return this.#microphone !== null;
  }

  async offer() {
    await this.#pc.setLocalDescription();
    return this.#pc.localDescription.sdp;
  }

  async accept(answer) {
    await this.#pc.setRemoteDescription({ type: "answer", sdp: answer });
    // A goodbye of the server shows here at once; the connection's own state takes seconds to follow.
    const dtls = this.#uplink.sender.transport;
    dtls?.addEventListener("statechange", () => {
      if (dtls.state === "closed") this.#onState("closed");
    });
  }

  // Asks the person; rejects when the answer is no.
  async openMicrophone() {
    if (this.#microphone) return;
    if (!navigator.mediaDevices) {
      throw new Error("The browser allows a microphone only on https or localhost.");
    }
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    });
    this.#microphone = stream.getAudioTracks()[0];
    await this.#uplink.sender.replaceTrack(this.#microphone);
  }

  // A muted microphone sends silence at once, before the server hears of it.
  setTalking(talking) {
    if (this.#microphone) this.#microphone.enabled = talking;
  }

  async closeMicrophone() {
    this.#microphone?.stop();
    this.#microphone = null;
    if (this.#pc.connectionState !== "closed") await this.#uplink.sender.replaceTrack(null);
  }

  resumeSound() {
    for (const element of this.#speakers.children) element.play();
  }

  close() {
    this.#microphone?.stop();
    this.#microphone = null;
    this.#pc.close();
    this.#speakers.remove();
  }

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
