// Notices on every page but the live room's, which tells them itself: shown for a while, counted beside the
// bell, and kept on the page of notices.

import { Feed } from "./feed.js";

const SHOWN_MS = 12000;
const SHOWN_MAX = 3;

/** @type {Feed | null} */
let feed = null;

function open() {
  feed ??= new Feed(`${location.origin.replace(/^http/, "ws")}/news`, {
    onStatement: (statement) => {
      if (statement.type === "notice") show(statement);
    },
    onLink: () => {},
    onEnd: () => {},
  });
}

function close() {
  feed?.close();
  feed = null;
}

/** @param {{text: string, href: string | null}} notice */
function show({ text, href }) {
  const place = document.querySelector("[data-news]");
  if (!place) return;
  while (place.children.length >= SHOWN_MAX) place.firstElementChild?.remove();
  const toast = document.createElement("a");
  toast.className = "toast";
  toast.dataset.test = "toast";
  toast.href = href ?? "/notices";
  toast.textContent = text;
  place.append(toast);
  setTimeout(() => toast.remove(), SHOWN_MS);
  countOne();
}

function countOne() {
  const bell = document.querySelector("a[data-unread]");
  if (!(bell instanceof HTMLElement)) return;
  const count = Number(bell.dataset.unread) + 1;
  bell.dataset.unread = String(count);
  const badge = bell.querySelector(".count") ?? document.createElement("b");
  badge.className = "count";
  const label = document.createElement("span");
  label.className = "visually-hidden";
  label.textContent = bell.dataset.unreadLabel ?? "";
  badge.replaceChildren(label, ` ${count}`);
  bell.append(badge);
}

open();
// A page with an open socket cannot be kept for the way back.
addEventListener("pagehide", close);
addEventListener("pageshow", open);
