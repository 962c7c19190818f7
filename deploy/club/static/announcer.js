// Says what happens to screen readers, at a pace that a person can follow: news about the reader first,
// then who is speaking, and of that only the latest.

const PAUSE_MS = 3000;
// More unsaid news than this are old news.
const NEWS_MAX = 4;
const KEY = "announce-speakers";

export class Announcer {
  #element;
  /** @type {string[]} */
  #news = [];
  #speaker = "";
  #saidSpeaker = "";
  /** @type {ReturnType<typeof setTimeout> | null} */
  #timer = null;

  /** @param {HTMLElement} element a live region */
  constructor(element) {
    this.#element = element;
    this.saysSpeakers = localStorage.getItem(KEY) !== "no";
  }

  /** @param {boolean} wanted */
  setSaysSpeakers(wanted) {
    this.saysSpeakers = wanted;
    localStorage.setItem(KEY, wanted ? "yes" : "no");
  }

  /** @param {string} text */
  say(text) {
    this.#news = [...this.#news, text].slice(-NEWS_MAX);
    this.#start();
  }

  /** @param {string} text */
  saySpeaker(text) {
    this.#speaker = text;
    this.#start();
  }

  #start() {
    if (this.#timer === null) this.#speak();
  }

  #speak() {
    this.#timer = null;
    const text = this.#next();
    if (!text) return;
    this.#element.textContent = text;
    this.#timer = setTimeout(() => this.#speak(), PAUSE_MS);
  }

  #next() {
    const news = this.#news.shift();
    if (news) return news;
    if (!this.saysSpeakers || this.#speaker === this.#saidSpeaker) return "";
    this.#saidSpeaker = this.#speaker;
    return this.#speaker;
  }
}
