// What a person can do for themselves, and what they should know: the bar at the bottom, the banner, the
// quality of the sound, the invitation onto the stage, and for those in charge the room itself.

import { isInCharge } from "./authority.js";
import { buttonById, byId, dialogById, icon } from "./elements.js";
import { hasText, t } from "./texts.js";

/**
 * @typedef {import("./statements.js").YouStatement} You
 * @typedef {import("./statements.js").RoomStatement} Room
 * @typedef {import("./statements.js").QualityStatement} Quality
 */

// How many of four bars each tier of the audio server fills.
/** @type {Record<string, number>} */
const BARS = { A0: 4, A1: 4, A2: 4, B1: 3, B2: 3, B3: 2, B4: 2, B5: 1, C: 0, paused: 0 };
const TOAST_MS = 8000;
// More at a time are in nobody's interest; the page of notices has all.
const TOASTS_MAX = 3;

/**
 * @param {You} you
 * @param {Room} room
 * @param {{busy: boolean, blocked: boolean, connected: boolean}} state
 */
export function renderControls(you, room, { busy, blocked, connected }) {
  const hadFocus = byId("bar").contains(document.activeElement);
  const isOnStage = you.present && you.role !== "listener";
  const mic = buttonById("mic");
  mic.hidden = !isOnStage;
  setLabel(mic, you.muted ? "unmute" : "mute");
  mic.classList.toggle("button-primary", you.muted);
  mic.classList.toggle("is-on-air", !you.muted);
  setEnabled(mic, !busy && !you.mute_locked);
  const hand = buttonById("hand");
  hand.hidden = !you.present || isOnStage || you.moderator;
  setLabel(hand, you.hand ? "lower_own_hand" : "raise_hand");
  hand.setAttribute("aria-pressed", String(you.hand));
  setEnabled(hand, !busy && (you.hand || !room.hands_locked));
  const up = buttonById("go-up");
  up.hidden = !you.present || isOnStage || !you.moderator;
  buttonById("leave-stage").hidden = !isOnStage;
  buttonById("sound").hidden = !blocked;
  const text = connected ? standing(you, isOnStage, room) : t("connecting");
  if (byId("standing").textContent !== text) byId("standing").textContent = text;
  renderCharge(you, room);
  if (hadFocus && isHidden(document.activeElement)) (isOnStage ? mic : buttonById("leave")).focus();
}

/** @param {Element | null} element */
function isHidden(element) {
  return !(element instanceof HTMLElement) || element === document.body || element.hidden;
}

/**
 * A button that cannot be used at the moment keeps the focus, which a disabled one would lose.
 * @param {HTMLButtonElement} button
 * @param {boolean} enabled
 */
function setEnabled(button, enabled) {
  button.setAttribute("aria-disabled", String(!enabled));
}

/**
 * @param {You} you
 * @param {Room} room
 */
function renderCharge(you, room) {
  const may = new Set(you.may);
  byId("charge").hidden = !(isInCharge(you) || may.has("end"));
  const lock = buttonById("lock");
  lock.hidden = !may.has("lock");
  setLabel(lock, room.locked ? "unlock" : "lock");
  const hands = buttonById("lock-hands");
  hands.hidden = !may.has("lock_hands");
  setLabel(hands, room.hands_locked ? "unlock_hands" : "lock_hands");
  buttonById("end").hidden = !may.has("end");
  byId("locked").hidden = !room.locked;
  byId("hands-closed").hidden = !room.hands_locked;
}

/**
 * @param {You} you
 * @param {boolean} isOnStage
 * @param {Room} room
 */
function standing(you, isOnStage, room) {
  if (!you.present) return t("connecting");
  if (!isOnStage) {
    if (you.hand) return t("hand_up");
    return room.hands_locked && !you.moderator ? t("listening_hands_closed") : t("listening");
  }
  if (you.mute_locked) return t("on_stage_locked");
  return you.muted ? t("on_stage_muted") : t("on_air");
}

/** @param {Quality} quality */
export function renderQuality({ tier, cause }) {
  const place = byId("quality");
  place.hidden = false;
  place.dataset.tier = tier;
  const bars = BARS[tier] ?? 0;
  place.dataset.bars = String(bars);
  const label = t(tier === "paused" ? "quality_paused" : `quality_${bars}`);
  byId("quality-text").textContent = label;
  const reason = cause && hasText(`cause_${cause}`) ? t(`cause_${cause}`) : "";
  place.title = reason;
  byId("quality-cause").textContent = reason;
}

/**
 * True when it is a new one.
 * @param {{invited: boolean, by: string | null}} invitation
 */
export function renderInvitation({ invited, by }) {
  const card = byId("invitation");
  const wasHidden = card.hidden;
  card.hidden = !invited;
  byId("invitation-text").textContent = by ? t("invited_by", { name: by }) : t("invited");
  return wasHidden && !card.hidden;
}

/** @param {string} text nothing hides it */
export function showBanner(text) {
  const banner = byId("banner");
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
}

/**
 * A line that goes by itself, or at a click.
 * @param {string} text
 * @param {string | null} [href]
 */
export function showToast(text, href = null) {
  const toasts = byId("toasts");
  while (toasts.children.length >= TOASTS_MAX) toasts.firstElementChild?.remove();
  const toast = document.createElement(href ? "a" : "p");
  toast.className = "toast";
  toast.dataset.test = "toast";
  toast.textContent = text;
  if (toast instanceof HTMLAnchorElement && href) {
    toast.href = href;
    toast.target = "_blank";
    toast.rel = "noopener";
  }
  toasts.append(toast);
  setTimeout(() => toast.remove(), TOAST_MS);
}

/** @param {{name: string, text: string}} caption */
export function showCaption({ name, text }) {
  const place = byId("caption");
  place.hidden = false;
  byId("caption-name").textContent = name;
  byId("caption-text").textContent = text;
}

/**
 * Ask whoever is in charge whether they mean it.
 * @param {string} name
 * @param {() => void} onYes
 */
export function askToRemove(name, onYes) {
  byId("remove-title").textContent = t("remove_whom", { name });
  buttonById("remove-yes").onclick = onYes;
  dialogById("remove-dialog").showModal();
}

/**
 * The visit is over: why, and where to go from here.
 * @param {string} text
 * @param {boolean} mayReturn
 */
export function showEnd(text, mayReturn) {
  for (const dialog of ["end-dialog", "remove-dialog", "ping-dialog"]) dialogById(dialog).close();
  byId("room-view").hidden = true;
  byId("bar").hidden = true;
  byId("banner").hidden = true;
  byId("farewell").hidden = false;
  byId("farewell-text").textContent = text;
  byId("return").hidden = !mayReturn;
  byId("farewell-title").focus();
}

/**
 * @param {HTMLButtonElement} button
 * @param {string} action
 */
function setLabel(button, action) {
  if (button.dataset.action === action) return;
  button.dataset.action = action;
  const label = document.createElement("span");
  label.textContent = t(action);
  button.replaceChildren(icon(action), label);
}
