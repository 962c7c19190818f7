// A participant in a page: sends a tone of its own and tells which tones it hears, by spectrum.
// Nothing is negotiated twice: `negotiations` counts what the browser did and asked for.

const negotiations = { local: 0, remote: 0, needed: 0 };
const counted = RTCPeerConnection.prototype;
for (const [method, name] of [["setLocalDescription", "local"], ["setRemoteDescription", "remote"]]) {
  const original = counted[method];
  counted[method] = function (...values) {
    negotiations[name] += 1;
    return original.apply(this, values);
  };
}

// 8192 samples are 170 ms at 48 kHz: bins of 5.9 Hz, and a tone that stopped is gone soon.
const FFT_SIZE = 8192;
const SLOTS = 3;

class BrowserPeer {
  constructor(hz) {
    this.audio = new AudioContext({ sampleRate: 48000 });
    const oscillator = new OscillatorNode(this.audio, { frequency: hz });
    const gain = new GainNode(this.audio, { gain: 0.3 });
    const microphone = new MediaStreamAudioDestinationNode(this.audio, { channelCount: 1 });
    oscillator.connect(gain).connect(microphone);
    oscillator.start();
    this.track = microphone.stream.getAudioTracks()[0];
    this.analysers = [];
    this.pc = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
    this.pc.addEventListener("track", ({ track }) => this.listen(track));
    this.pc.addEventListener("negotiationneeded", () => { negotiations.needed += 1; });
  }

  async offer(speaks) {
    this.uplink = this.pc.addTransceiver("audio", { direction: "sendrecv" });
    if (speaks) await this.attachMicrophone();
    for (let slot = 1; slot < SLOTS; slot += 1) {
      this.pc.addTransceiver("audio", { direction: "recvonly" });
    }
    await this.pc.setLocalDescription();
    return this.pc.localDescription.sdp;
  }

  async accept(answer) {
    await this.pc.setRemoteDescription({ type: "answer", sdp: answer });
  }

  attachMicrophone() {
    return this.uplink.sender.replaceTrack(this.track);
  }

  listen(track) {
    const stream = new MediaStream([track]);
    // Chromium pulls samples of a remote track only when a media element plays it.
    const element = new Audio();
    element.muted = true;
    element.srcObject = stream;
    element.play();
    const analyser = new AnalyserNode(this.audio, { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
    new MediaStreamAudioSourceNode(this.audio, { mediaStream: stream }).connect(analyser);
    this.analysers.push({ analyser, element });
  }

  // The level of each frequency, dB of full scale, the loudest of all tracks.
  levels(frequencies) {
    const width = this.audio.sampleRate / FFT_SIZE;
    const spectra = this.analysers.map(({ analyser }) => {
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      return bins;
    });
    return frequencies.map((hz) => {
      const bin = Math.round(hz / width);
      const around = spectra.flatMap((bins) => Array.from(bins.slice(bin - 1, bin + 2)));
      return Math.max(-200, ...around.filter(Number.isFinite));
    });
  }

  state() {
    return {
      connection: this.pc.connectionState,
      dtls: this.uplink.sender.transport?.state ?? "new",
      signaling: this.pc.signalingState,
      sending: this.uplink.sender.track !== null,
      speakers: this.pc.getReceivers().flatMap((receiver) =>
        receiver.getContributingSources().map((source) => source.source)),
      negotiations: { ...negotiations },
    };
  }
}

window.BrowserPeer = BrowserPeer;
