// The room's news: one WebSocket that comes back by itself. The server repeats the whole state after each
// opening, so nothing has to be asked for here, and nothing is ever sent.

/** @typedef {import("./statements.js").Statement} Statement */

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 8000;
// WebSocket close code 1008: the server does not want this page (RFC 6455 7.4.1).
const POLICY_VIOLATION = 1008;

export class Feed {
  #address;
  /** @type {WebSocket | null} */
  #socket = null;
  #retryMs = RETRY_MIN_MS;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #ended = false;
  #on;

  /**
   * @param {string} address
   * @param {object} on
   * @param {(statement: Statement) => void} on.onStatement
   * @param {(open: boolean) => void} on.onLink whether news arrive
   * @param {() => void} on.onEnd the server does not want this page any more
   */
  constructor(address, on) {
    this.#address = address;
    this.#on = on;
    this.#open();
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  /** Try now: the network has come back. */
  hurry() {
    if (this.#ended || this.#socket?.readyState !== WebSocket.CLOSED) return;
    this.#retryMs = RETRY_MIN_MS;
    clearTimeout(this.#timer);
    this.#open();
  }

  #open() {
    const socket = new WebSocket(this.#address);
    this.#socket = socket;
    socket.addEventListener("message", (message) => {
      this.#retryMs = RETRY_MIN_MS;
      this.#on.onLink(true);
      this.#on.onStatement(JSON.parse(message.data));
    });
    socket.addEventListener("close", (event) => this.#closed(event));
  }

  /** @param {CloseEvent} event */
  #closed(event) {
    if (this.#ended) return;
    if (event.code === POLICY_VIOLATION) {
      this.#ended = true;
      this.#on.onEnd();
      return;
    }
    this.#on.onLink(false);
    // Spread out, because everybody loses a server at the same moment.
    const pause = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    this.#timer = setTimeout(() => this.#open(), pause);
  }
}
