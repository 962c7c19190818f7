// The line to the room, kept up: joined once, mended by an ICE restart when the network changes, joined
// anew when that does not help or the server asks for it. Whoever is refused for good is told so.

import { ApiError } from "./api.js";
import { AudioConnection } from "./connection.js";

// A path that is only disturbed often recovers by itself within this.
const DISTURBED_MS = 1500;
// Browsers tell of one change of networks several times.
const CHANGED_MS = 100;
// A restarted path that works does so within a few round trips.
const RESTART_MS = 5000;
// News that the visit is over may be under way, so never at once.
const REJOIN_MIN_MS = 500;
const REJOIN_MAX_MS = 8000;
// Two minutes and a half; after that the person decides.
const REJOINS_MAX = 20;

/** @typedef {"joining" | "connected" | "disturbed" | "lost"} LineState */

export class Line {
  #api;
  #microphone;
  #on;
  /** @type {AudioConnection | null} */
  #connection = null;
  /** @type {LineState} */
  #state = "joining";
  #attempts = 0;
  #restarts = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #ended = false;

  /**
   * @param {import("./api.js").RoomApi} api
   * @param {import("./microphone.js").Microphone} microphone
   * @param {object} on
   * @param {(state: LineState) => void} on.onState
   * @param {() => void} on.onBlocked
   * @param {() => void} on.onJoined the server knows this page now
   * @param {(error: Error | null) => void} on.onRefused no further attempt is made; null: it never came back
   */
  constructor(api, microphone, on) {
    this.#api = api;
    this.#microphone = microphone;
    this.#on = on;
  }

  get isConnected() {
    return this.#state === "connected";
  }

  start() {
    this.#join();
  }

  /** @param {MediaStreamTrack | null} track */
  send(track) {
    this.#connection?.send(track);
  }

  resumeSound() {
    this.#connection?.resumeSound();
  }

  /** The server has lost this connection: join again, unless that is under way. */
  rejoin() {
    if (this.#ended || this.#state === "joining" || this.#state === "lost") return;
    this.#rejoinSoon();
  }

  /** The network has changed: the old path is not waited for. Nothing is said unless it does break. */
  networkChanged() {
    if (this.#ended) return;
    if (this.#state === "connected" || this.#state === "disturbed") {
      this.#later(CHANGED_MS, () => this.#restart());
    } else if (this.#state === "lost") this.#later(0, () => this.#join());
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#connection?.close();
    this.#connection = null;
  }

  async #join() {
    this.#connection?.close();
    const connection = new AudioConnection({
      onState: (state) => {
        if (connection === this.#connection) this.#follow(state);
      },
      onBlocked: this.#on.onBlocked,
    });
    this.#connection = connection;
    if (this.#attempts === 0) this.#become("joining");
    try {
      await connection.send(this.#microphone.track);
      const { answer } = await this.#api.join(await connection.offer());
      if (connection !== this.#connection) return;
      this.#on.onJoined();
      await connection.accept(answer);
      // Neither a state nor an error may ever follow where UDP is blocked.
      this.#later(RESTART_MS * 3, () => this.#rejoinSoon());
    } catch (error) {
      if (connection === this.#connection) this.#failed(error);
    }
  }

  async #restart() {
    const connection = this.#connection;
    if (!connection) return;
    const number = ++this.#restarts;
    // An answer belongs to its offer: what a later restart has overtaken is left aside.
    const isLatest = () => connection === this.#connection && number === this.#restarts;
    try {
      const offer = await connection.restart();
      if (!isLatest()) return;
      const { answer } = await this.#api.restartIce(offer);
      if (!isLatest()) return;
      await connection.accept(answer);
      this.#later(RESTART_MS, () => this.#mended(connection));
    } catch {
      if (isLatest()) this.#rejoinSoon();
    }
  }

  /**
   * A path that never broke tells no state: nothing to do then.
   * @param {AudioConnection} connection
   */
  #mended(connection) {
    if (connection.isUp) this.#follow("connected");
    else this.#rejoinSoon();
  }

  /** @param {RTCPeerConnectionState} state */
  #follow(state) {
    if (this.#ended) return;
    if (state === "connected") {
      clearTimeout(this.#timer);
      this.#attempts = 0;
      this.#become("connected");
    } else if (state === "disconnected") {
      this.#become("disturbed");
      this.#later(DISTURBED_MS, () => this.#restart());
    } else if (state === "failed") {
      const wasUp = this.#state === "connected";
      this.#become("disturbed");
      if (wasUp) this.#restart();
      else this.#rejoinSoon();
    } else if (state === "closed") {
      this.#rejoinSoon();
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    const isPassing = !(error instanceof ApiError) || error.isPassing;
    if (isPassing) this.#rejoinSoon();
    else this.#refuse(error);
  }

  #rejoinSoon() {
    if (this.#ended) return;
    this.#attempts += 1;
    if (this.#attempts > REJOINS_MAX) {
      this.#refuse(null);
      return;
    }
    this.#become("lost");
    const longest = Math.min(REJOIN_MAX_MS, REJOIN_MIN_MS * 2 ** this.#attempts);
    this.#later(REJOIN_MIN_MS + Math.random() * (longest - REJOIN_MIN_MS), () => this.#join());
  }

  /** @param {Error | null} error */
  #refuse(error) {
    this.close();
    this.#on.onRefused(error);
  }

  /** @param {LineState} state */
  #become(state) {
    this.#state = state;
    this.#on.onState(state);
  }

  /**
   * One thing at a time is waited for.
   * @param {number} pauseMs
   * @param {() => void} work
   */
  #later(pauseMs, work) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(work, pauseMs);
  }
}
