// A participant in a page: sends a tone of its own and tells which tones it hears, by spectrum.
// Nothing is negotiated twice, unless a test restarts ICE: `negotiations` counts what the browser
// did and asked for.

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
// The grain of `silences`: 5.3 ms, in which the lowest tone swings twice. A tone arrives at 0.3.
const METER_SAMPLES = 256;
const SILENT_PEAK = 0.1;
// The fields of page_peer.Decoded, as the browser calls them.
const DECODED = [
  "packetsReceived", "packetsLost", "totalSamplesReceived", "concealedSamples",
  "silentConcealedSamples", "totalAudioEnergy", "jitterBufferDelay", "jitterBufferEmittedCount",
];

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
    this.meter = this.audio.createScriptProcessor(METER_SAMPLES, 1, 1);
    this.meter.onaudioprocess = ({ inputBuffer }) => this.weigh(inputBuffer.getChannelData(0));
    this.meter.connect(this.audio.destination);
    this.silent = { now: 0, longest: 0, heard: 0 };
    this.silentPeak = SILENT_PEAK;
    this.madeUp = 0;
    this.pc = new RTCPeerConnection({ iceServers: [], bundlePolicy: "max-bundle" });
    this.pc.addEventListener("track", ({ track }) => this.listen(track));
    this.pc.addEventListener("negotiationneeded", () => { negotiations.needed += 1; });
  }

  // `repair` says what it offers against loss: RED unless it is false, NACK only if it is true,
  // as browsers do that are not told otherwise. `mix` is one more m-line, for all voices in one.
  async offer(speaks, repair, mix) {
    this.uplink = this.pc.addTransceiver("audio", { direction: "sendrecv" });
    if (speaks) await this.attachMicrophone();
    for (let line = 1; line < SLOTS + Number(mix); line += 1) {
      this.pc.addTransceiver("audio", { direction: "recvonly" });
    }
    if (repair?.red === false) this.withoutRed();
    const description = await this.pc.createOffer();
    if (repair?.nack) {
      // There is no other way to ask for it on audio.
      description.sdp = description.sdp.replace(
        /a=rtpmap:(\d+) opus\/48000\/2\r\n/g, "$&a=rtcp-fb:$1 nack\r\n");
    }
    await this.pc.setLocalDescription(description);
    return this.pc.localDescription.sdp;
  }

  withoutRed() {
    const { codecs } = RTCRtpReceiver.getCapabilities("audio");
    const others = codecs.filter((codec) => codec.mimeType !== "audio/red");
    for (const transceiver of this.pc.getTransceivers()) transceiver.setCodecPreferences(others);
  }

  async accept(answer) {
    await this.pc.setRemoteDescription({ type: "answer", sdp: answer });
  }

  // The offer of an ICE restart: new credentials, everything else as before.
  async restart() {
    this.pc.restartIce();
    await this.pc.setLocalDescription();
    return this.pc.localDescription.sdp;
  }

  attachMicrophone() {
    return this.uplink.sender.replaceTrack(this.track);
  }

  listen(track) {
    const stream = new MediaStream([track]);
    // Chromium pulls samples of a remote track only when a media element plays it.
    const element = new Audio();
    element.srcObject = stream;
    element.play();
    const analyser = new AnalyserNode(this.audio, { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
    const source = new MediaStreamAudioSourceNode(this.audio, { mediaStream: stream });
    source.connect(analyser);
    source.connect(this.meter);
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

  // Of all tracks together: how long the sound was last gone and how much of it there was.
  weigh(samples) {
    const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
    const silent = this.silent;
    silent.now = peak < this.silentPeak ? silent.now + samples.length : 0;
    silent.longest = Math.max(silent.longest, silent.now);
    silent.heard += samples.length;
  }

  // Seconds since the last call: the longest silence, the present one, what the decoder made up in
  // place of packets that did not come, and all that was weighed.
  async silences() {
    const concealed = await this.concealed();
    const made = concealed - this.madeUp;
    this.madeUp = concealed;
    const { longest, now, heard } = this.silent;
    this.silent = { now, longest: now, heard: 0 };
    return [longest, now, made, heard].map((samples) => samples / this.audio.sampleRate);
  }

  // Samples that were made up so far on the track that is heard: the one that made up least of all
  // those that got something.
  async concealed() {
    const tracks = (await this.inbound()).filter((track) => track.packetsReceived);
    return Math.min(...tracks.map((track) => track.concealedSamples), Number.MAX_SAFE_INTEGER);
  }

  async inbound() {
    const report = Array.from((await this.pc.getStats()).values());
    return report.filter((entry) => entry.type === "inbound-rtp");
  }

  // The fields of page_peer.Decoded, of the track that got the most packets.
  async decoded() {
    const tracks = await this.inbound();
    const most = tracks.reduce((a, b) => (b.packetsReceived > a.packetsReceived ? b : a));
    return DECODED.map((name) => most[name] ?? 0);
  }

  // The same of every track, by the MID of its m-line.
  async everyDecoded() {
    const tracks = await this.inbound();
    return Object.fromEntries(
      tracks.map((track) => [track.mid, DECODED.map((name) => track[name] ?? 0)]));
  }

  async port() {
    const report = await this.pc.getStats();
    const pairs = Array.from(report.values()).filter(
      (entry) => entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded");
    return report.get(pairs[0].localCandidateId).port;
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
