// The club's news: one WebSocket that comes back by itself. The server repeats the whole state after
// each opening, so nothing has to be asked for here.

const RETRY_MIN_MS = 500;
const RETRY_MAX_MS = 8000;

export class Feed {
  #token;
  #socket = null;
  #retryMs = RETRY_MIN_MS;
  #timer = null;
  #ended = false;

  // on(statement) gets every statement; onLink(open) tells whether news arrive; onEnd() that the
  // club does not know this visitor any more.
  constructor(token, { on, onLink, onEnd }) {
    this.#token = token;
    this.on = on;
    this.onLink = onLink;
    this.onEnd = onEnd;
    this.#open();
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  #open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/api/feed`);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      socket.send(JSON.stringify({ token: this.#token }));
    });
    socket.addEventListener("message", (message) => {
      this.#retryMs = RETRY_MIN_MS;
      this.onLink(true);
      this.on(JSON.parse(message.data));
    });
    socket.addEventListener("close", (event) => this.#closed(event));
  }

  #closed(event) {
    if (this.#ended) return;
    if (event.reason === "unknown_visitor") {
      this.#ended = true;
      this.onEnd();
      return;
    }
    this.onLink(false);
    const pause = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(RETRY_MAX_MS, this.#retryMs * 2);
    this.#timer = setTimeout(() => this.#open(), pause);
  }
}
