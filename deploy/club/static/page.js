// What every page has: times in the reader's own zone, buttons that copy, forms that ask first. Without
// it every page still works; times are then in UTC.

/** @type {Record<string, Intl.DateTimeFormatOptions>} */
const STYLES = {
  moment: { weekday: "short", day: "numeric", month: "short", hour: "numeric", minute: "2-digit" },
  day: { weekday: "long", day: "numeric", month: "long" },
  clock: { hour: "numeric", minute: "2-digit" },
};
// How long a button says that it has copied.
const COPIED_MS = 2000;

/** @param {ParentNode} root */
export function localiseTimes(root) {
  for (const time of root.querySelectorAll("time[data-time]")) {
    if (!(time instanceof HTMLTimeElement)) continue;
    const moment = new Date(time.dateTime);
    const style = STYLES[time.dataset.time ?? ""];
    if (Number.isNaN(moment.getTime())) continue;
    // What is written relative to now ("ago") stays; only its tip tells the moment.
    if (style) time.textContent = new Intl.DateTimeFormat(document.documentElement.lang, style).format(moment);
    time.title = moment.toLocaleString(document.documentElement.lang, { dateStyle: "full", timeStyle: "short" });
  }
}

/**
 * A chosen local time, and the same moment in UTC in the hidden field beside it.
 * @param {ParentNode} root
 */
function followChosenTimes(root) {
  for (const local of root.querySelectorAll("input[data-utc]")) {
    if (!(local instanceof HTMLInputElement)) continue;
    const utc = local.form?.elements.namedItem(local.dataset.utc ?? "");
    if (!(utc instanceof HTMLInputElement)) continue;
    // The server writes them in UTC, as it must where this does not run.
    if (local.min) local.min = toLocalField(new Date(`${local.min}Z`));
    if (local.max) local.max = toLocalField(new Date(`${local.max}Z`));
    if (utc.value && !local.value) local.value = toLocalField(new Date(utc.value));
    const follow = () => {
      const chosen = new Date(local.value);
      utc.value = Number.isNaN(chosen.getTime()) ? "" : `${chosen.toISOString().slice(0, 19)}Z`;
    };
    follow();
    local.addEventListener("input", follow);
    local.form?.addEventListener("submit", follow);
  }
  for (const hint of root.querySelectorAll("[data-zone]")) {
    hint.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
}

/** @param {Date} moment */
function toLocalField(moment) {
  const shifted = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

/** @param {ParentNode} root */
function offerCopying(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    if (!(button instanceof HTMLButtonElement) || !navigator.clipboard) continue;
    button.hidden = false;
    const label = button.textContent ?? "";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy ?? "");
      button.textContent = button.dataset.copied ?? "✓";
      setTimeout(() => { button.textContent = label; }, COPIED_MS);
    });
  }
}

/** @param {ParentNode} root */
function askFirst(root) {
  for (const form of root.querySelectorAll("form[data-confirm]")) {
    if (!(form instanceof HTMLFormElement)) continue;
    form.addEventListener("submit", (event) => {
      if (!confirm(form.dataset.confirm)) event.preventDefault();
    });
  }
}

localiseTimes(document);
followChosenTimes(document);
offerCopying(document);
askFirst(document);
