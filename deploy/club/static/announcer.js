// Says who is speaking to screen readers, at a pace that a person can follow.

const PAUSE_MS = 3000;

export class Announcer {
  #element;
  #said = "";
  #next = "";
  #timer = null;

  constructor(element) {
    this.#element = element;
  }

  say(text) {
    this.#next = text;
    if (this.#timer === null) this.#speak();
  }

  #speak() {
    if (this.#next === this.#said) return;
    this.#said = this.#next;
    this.#element.textContent = this.#said;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#speak();
    }, PAUSE_MS);
  }
}
