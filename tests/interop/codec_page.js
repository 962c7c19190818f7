// What a page may ask of its codecs, and what became of it. For pages with a `peer` of
// browser_peer.js.

const audioCodecs = () => RTCRtpReceiver.getCapabilities("audio").codecs;
const isRed = (codec) => codec.mimeType === "audio/red";

// Every transceiver from now on offers these codecs, in this order.
function offerCodecs(codecs) {
  const original = RTCPeerConnection.prototype.addTransceiver;
  RTCPeerConnection.prototype.addTransceiver = function (...values) {
    const transceiver = original.apply(this, values);
    transceiver.setCodecPreferences(codecs);
    return transceiver;
  };
}

// What is first in an answer is sent, and answers keep the order of the offer.
const preferRed = () => offerCodecs([...audioCodecs().filter(isRed),
  ...audioCodecs().filter((codec) => !isRed(codec))]);
const offerNoRed = () => offerCodecs(audioCodecs().filter((codec) => !isRed(codec)));

// A browser decodes in stereo only what its own offer asks to be in stereo.
function askForStereo() {
  const original = RTCPeerConnection.prototype.setLocalDescription;
  RTCPeerConnection.prototype.setLocalDescription = async function (description) {
    const { type, sdp } = description ?? await this.createOffer();
    const inStereo = sdp.replaceAll("useinbandfec=1", "useinbandfec=1;stereo=1");
    return original.call(this, { type, sdp: inStereo });
  };
}

// Decoders hold sound back for so long, as they do by themselves where packets come unevenly.
function holdBack(peer, targetMs) {
  peer.pc.addEventListener("track", ({ receiver }) => { receiver.jitterBufferTarget = targetMs; });
}

// The microphone plays one tone on the left and another on the right.
function playStereo(peer, left, right) {
  const merger = new ChannelMergerNode(peer.audio, { numberOfInputs: 2 });
  [left, right].forEach((frequency, channel) => {
    const oscillator = new OscillatorNode(peer.audio, { frequency });
    const gain = new GainNode(peer.audio, { gain: 0.3 });
    oscillator.connect(gain).connect(merger, 0, channel);
    oscillator.start();
  });
  const microphone = new MediaStreamAudioDestinationNode(peer.audio, { channelCount: 2 });
  merger.connect(microphone);
  peer.track = microphone.stream.getAudioTracks()[0];
}

// The spectrum of each channel of each track from now on, for `channelLevels`.
function splitChannels(peer) {
  peer.channels = [];
  peer.pc.addEventListener("track", ({ track }) => {
    const splitter = new ChannelSplitterNode(peer.audio, { numberOfOutputs: 2 });
    const mediaStream = new MediaStream([track]);
    new MediaStreamAudioSourceNode(peer.audio, { mediaStream }).connect(splitter);
    peer.channels.push([0, 1].map((channel) => {
      const analyser = new AnalyserNode(peer.audio, { fftSize: 8192, smoothingTimeConstant: 0 });
      splitter.connect(analyser, channel);
      return analyser;
    }));
  });
}

// For each channel the level of each frequency, dB of full scale, the loudest of all tracks.
function channelLevels(peer, frequencies) {
  return [0, 1].map((channel) => frequencies.map((hz) => {
    const bin = Math.round(hz * 8192 / peer.audio.sampleRate);
    const around = peer.channels.flatMap((analysers) => {
      const bins = new Float32Array(analysers[channel].frequencyBinCount);
      analysers[channel].getFloatFrequencyData(bins);
      return Array.from(bins.slice(bin - 1, bin + 2));
    });
    return Math.max(-200, ...around.filter(Number.isFinite));
  }));
}

// Of the track that got the most, and of the one that is sent.
async function streams(peer) {
  const report = Array.from((await peer.pc.getStats()).values());
  const most = (type, count) => report.filter((entry) => entry.type === type)
    .reduce((a, b) => ((b[count] ?? 0) > (a[count] ?? 0) ? b : a), {});
  const heard = most("inbound-rtp", "packetsReceived");
  const sent = most("outbound-rtp", "packetsSent");
  return {
    samples: heard.totalSamplesReceived ?? 0, concealed: heard.concealedSamples ?? 0,
    energy: heard.totalAudioEnergy ?? 0, discarded: heard.packetsDiscarded ?? 0,
    lost: heard.packetsLost ?? 0, packets: heard.packetsReceived ?? 0,
    sent: sent.packetsSent ?? 0, sentBytes: sent.bytesSent ?? 0,
  };
}
