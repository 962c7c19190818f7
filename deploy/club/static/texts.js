// The texts of the live room, which the server put into the page in the reader's language.

/** @type {Record<string, string>} */
const texts = JSON.parse(document.getElementById("texts")?.textContent ?? "{}");

/**
 * A text with its gaps filled: `t("speaking", {name})`. A key that the page lacks is shown as it is.
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
  const text = texts[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (gap, name) => String(values[name] ?? gap));
}

/** @param {string} key */
export function hasText(key) {
  return key in texts;
}
