// The room's endpoints. Every failure is an ApiError with a text for people.

import { t } from "./texts.js";

export class ApiError extends Error {
  /**
   * @param {number} status 0 when the club could not be reached at all
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }

  /** Whether asking again later can help. */
  get isPassing() {
    return this.status === 0 || this.status >= 500 || [408, 425, 429].includes(this.status);
  }
}

export class RoomApi {
  #path;
  #csrf;
  /** Which of this member's times in the room is this page's, once it has joined. @type {number | undefined} */
  #generation;
  /** Joins of this page, and how many of them are not answered yet. */
  #joins = 0;
  #pending = 0;

  /**
   * @param {string} room
   * @param {string} csrf
   */
  constructor(room, csrf) {
    this.#path = `/rooms/${encodeURIComponent(room)}`;
    this.#csrf = csrf;
  }

  get socketAddress() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    return `${scheme}//${location.host}${this.#path}/socket`;
  }

  /**
   * @param {string} offer
   * @returns {Promise<{answer: string, id: string, generation: number}>}
   */
  async join(offer) {
    this.#pending += 1;
    const number = ++this.#joins;
    try {
      const joined = await this.#post("join", { offer });
      if (number === this.#joins) this.#generation = joined.generation;
      return joined;
    } finally {
      this.#pending -= 1;
    }
  }

  /**
   * Whether this member has come into the room again by another page, in this browser or elsewhere.
   * @param {number | null} generation which of the member's times in the room it is now
   */
  isReplacedBy(generation) {
    return this.#pending === 0 && this.#generation !== undefined && (generation ?? 0) > this.#generation;
  }

  /**
   * @param {string} offer
   * @returns {Promise<{answer: string}>}
   */
  restartIce(offer) {
    return this.#post("restart-ice", { offer });
  }

  /**
   * @param {string} action
   * @param {string | null} [target]
   */
  act(action, target = null) {
    return this.#post("act", target === null ? { action } : { action, target });
  }

  /**
   * The one request that must survive a closing tab, so nobody waits for its answer. It names the time that it ends: a page
   * that was loaded anew may be in the room before this arrives. A page that never came in ends none.
   */
  async leave() {
    // Who is in the room then is there by another page. A join that is under way takes that one's place anyway.
    if (this.#generation === undefined && this.#pending === 0) return;
    await this.#fetch("leave", { generation: this.#generation }, true).catch(() => undefined);
  }

  /**
   * @param {string} verb
   * @param {object} body
   */
  async #post(verb, body) {
    let response;
    try {
      response = await this.#fetch(verb, body, false);
    } catch {
      throw new ApiError(0, "offline", t("offline"));
    }
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      const { code = "failed", message = t("failed") } = answer.error ?? {};
      throw new ApiError(response.status, code, message);
    }
    return answer;
  }

  /**
   * @param {string} verb
   * @param {object} body
   * @param {boolean} keepalive
   */
  #fetch(verb, body, keepalive) {
    return fetch(`${this.#path}/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF": this.#csrf },
      body: JSON.stringify(body),
      keepalive,
    });
  }
}
