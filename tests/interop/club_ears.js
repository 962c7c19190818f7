// Put before a page of the club: its microphone plays a tone (`window.toneHz`), and what it hears
// can be asked by spectrum. The page itself is as it is delivered.

(() => {
  // 8192 samples are 170 ms at 48 kHz: bins of 5.9 Hz, and a tone that stopped is gone soon.
  const FFT_SIZE = 8192;
  // The grain of `silence`: 5.3 ms. A tone arrives at 0.3.
  const METER_SAMPLES = 256;
  const SILENT_PEAK = 0.05;
  const LOUD = 0.3;

  const nowMs = () => performance.timeOrigin + performance.now();

  class Ears {
    constructor() {
      this.connections = [];
      this.analysers = [];
      this.microphoneRequests = 0;
      this.gone = { now: 0, longest: 0 };
    }

    // Made at the first use: a page that has no sound makes no sound device.
    get audio() {
      if (!this.context) {
        this.context = new AudioContext({ sampleRate: 48000 });
        this.meter = this.context.createScriptProcessor(METER_SAMPLES, 1, 1);
        this.meter.onaudioprocess = ({ inputBuffer }) => this.weigh(inputBuffer.getChannelData(0));
        this.meter.connect(this.context.destination);
      }
      return this.context;
    }

    microphone() {
      this.microphoneRequests += 1;
      const oscillator = new OscillatorNode(this.audio, { frequency: window.toneHz ?? 440 });
      this.gain = new GainNode(this.audio, { gain: LOUD });
      const out = new MediaStreamAudioDestinationNode(this.audio, { channelCount: 1 });
      oscillator.connect(this.gain).connect(out);
      oscillator.start();
      return out.stream;
    }

    // The person is silent, or speaks again; when that was, in ms of the machine's clock.
    hush(isSilent) {
      this.gain.gain.value = isSilent ? 0 : LOUD;
      return nowMs();
    }

    // From now on, note when a member is first shown as speaking.
    watchSpeaking(member) {
      this.speakingSeenMs = null;
      const look = () => {
        const shown = document.querySelector(`[data-member="${member}"].is-speaking`);
        if (shown) this.speakingSeenMs ??= nowMs();
      };
      new MutationObserver(look).observe(document.body, {
        subtree: true, childList: true, attributes: true, attributeFilter: ["class"],
      });
    }

    listen(connection) {
      this.connections.push(connection);
      connection.addEventListener("track", ({ track }) => {
        const stream = new MediaStream([track]);
        const source = new MediaStreamAudioSourceNode(this.audio, { mediaStream: stream });
        const analyser = new AnalyserNode(this.audio, { fftSize: FFT_SIZE, smoothingTimeConstant: 0 });
        source.connect(analyser);
        source.connect(this.meter);
        this.analysers.push(analyser);
      });
    }

    weigh(samples) {
      const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
      this.gone.now = peak < SILENT_PEAK ? this.gone.now + samples.length : 0;
      this.gone.longest = Math.max(this.gone.longest, this.gone.now);
    }

    // Seconds of the longest silence since the last call.
    longestSilence() {
      const { longest, now } = this.gone;
      this.gone.longest = now;
      return longest / this.audio.sampleRate;
    }

    // The level of each frequency, dB of full scale, the loudest of all tracks.
    levels(frequencies) {
      const width = this.audio.sampleRate / FFT_SIZE;
      const spectra = this.analysers.map((analyser) => {
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
  }

  const ears = new Ears();
  window.ears = ears;
  MediaDevices.prototype.getUserMedia = async () => ears.microphone();
  const Connection = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Connection {
    constructor(...values) {
      super(...values);
      ears.listen(this);
    }
  };
})();
