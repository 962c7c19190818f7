// The people of a live room as lists: who is on stage, whose hand is up, who listens. Lists keep their
// elements between renderings, so that focus stays where it is while the room changes.

import { actsOnAudience, actsOnHand, actsOnStage } from "./authority.js";
import { byId, icon } from "./elements.js";
import { t } from "./texts.js";

/**
 * @typedef {import("./statements.js").Seated} Person
 * @typedef {import("./statements.js").OnStage} OnStage
 * @typedef {import("./statements.js").YouStatement} You
 * @typedef {import("./statements.js").RoomStatement} Room
 * @typedef {(action: string, person: Person) => void} Act
 */

// The alphabet of ids: the last character chooses the colour, as in templates/parts.html.
const ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const HUES = 10;

/**
 * @param {Room} room
 * @param {You} you
 * @param {Act} act
 */
export function renderPeople(room, you, act) {
  renderList(byId("stage"), room.stage, "stage-item", (item, person) => {
    renderSpeaker(item, person, you);
    renderActs(item, actsOnStage(you, person), person, act);
  });
  byId("stage-empty").hidden = room.stage.length > 0;
  renderHands(room, you, act);
  const raised = new Set(room.hands.map((person) => person.id));
  const listening = room.audience.filter((person) => !raised.has(person.id));
  renderList(byId("audience"), listening, "row-item", (item, person) => {
    renderFace(item, person, you);
    item.classList.toggle("is-you", person.id === you.id);
    renderActs(item, actsOnAudience(you, person), person, act);
  });
  const unnamed = room.audience_count - room.audience.length;
  byId("audience-more").hidden = unnamed <= 0;
  byId("audience-more").textContent = t("more", { count: unnamed });
  byId("audience-count").textContent = String(room.audience_count);
}

/**
 * @param {Room} room
 * @param {You} you
 * @param {Act} act
 */
function renderHands(room, you, act) {
  byId("hands-section").hidden = room.hands.length === 0;
  byId("hands-count").textContent = String(room.hands.length);
  renderList(byId("hands"), room.hands, "row-item", (item, person) => {
    renderFace(item, person, you);
    setNote(item, person.invited ? t("asked") : "");
    renderActs(item, actsOnHand(you, person), person, act);
  });
}

/** @param {Set<string>} speaking */
export function renderSpeaking(speaking) {
  for (const item of byId("stage").children) {
    if (item instanceof HTMLElement) item.classList.toggle("is-speaking", speaking.has(item.dataset.member ?? ""));
  }
}

/**
 * @template {Person} P
 * @param {HTMLElement} list
 * @param {P[]} people
 * @param {string} template
 * @param {(item: HTMLElement, person: P) => void} render
 */
function renderList(list, people, template, render) {
  /** @type {Map<string, HTMLElement>} */
  const kept = new Map();
  for (const item of list.children) {
    if (item instanceof HTMLElement) kept.set(item.dataset.member ?? "", item);
  }
  people.forEach((person, index) => {
    const item = kept.get(person.id) ?? newItem(template, person.id);
    kept.delete(person.id);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    render(item, person);
  });
  for (const item of kept.values()) removeKeepingFocus(item, list);
}

/**
 * Whoever stands on what goes away stands on what it was in then, not at the top of the page.
 * @param {Element} gone
 * @param {HTMLElement} around
 */
function removeKeepingFocus(gone, around) {
  const hadFocus = gone.contains(document.activeElement);
  gone.remove();
  if (hadFocus) (around.querySelector("button") ?? around).focus();
}

/**
 * @param {string} template
 * @param {string} id
 */
function newItem(template, id) {
  const source = byId(template);
  const item = source instanceof HTMLTemplateElement ? source.content.firstElementChild?.cloneNode(true) : null;
  if (!(item instanceof HTMLElement)) throw new Error(`no template ${template}`);
  item.dataset.member = id;
  return item;
}

/**
 * @param {HTMLElement} item
 * @param {OnStage} person
 * @param {You} you
 */
function renderSpeaker(item, person, you) {
  renderFace(item, person, you);
  item.classList.toggle("is-away", person.away);
  item.classList.toggle("is-muted", person.muted);
  item.classList.toggle("is-you", person.id === you.id);
  const notes = [];
  if (person.host) notes.push(t("host"));
  else if (person.role === "moderator") notes.push(t("moderator"));
  if (person.away) notes.push(t("away"));
  else if (person.muted) notes.push(t("muted"));
  setNote(item, notes.join(" · "));
}

/**
 * @param {HTMLElement} item
 * @param {string} text
 */
function setNote(item, text) {
  const note = part(item, ".person-note");
  if (note.textContent !== text) note.textContent = text;
}

/**
 * @param {HTMLElement} item
 * @param {Person} person
 * @param {You} you
 */
function renderFace(item, person, you) {
  const shown = person.id === you.id ? t("you", { name: person.name }) : person.name;
  const place = part(item, ".person-name");
  if (place.textContent !== shown) place.replaceChildren(nameOf(person, shown));
  const key = `${person.picture} ${person.name}`;
  const frame = part(item, ".person-face");
  if (frame.dataset.shows === key) return;
  frame.dataset.shows = key;
  frame.firstElementChild?.replaceWith(faceOf(person));
}

/**
 * A member's profile opens beside the room, which must not fall silent. Others are guests of the audio
 * server, as bots are, and have none.
 * @param {Person} person
 * @param {string} shown
 */
function nameOf(person, shown) {
  if (!person.id.startsWith("m-")) return document.createTextNode(shown);
  const link = document.createElement("a");
  link.href = `/people/${encodeURIComponent(person.id)}`;
  link.target = "_blank";
  link.rel = "noopener";
  link.textContent = shown;
  return link;
}

/** @param {Person} person */
function faceOf(person) {
  if (person.picture) {
    const image = document.createElement("img");
    image.className = "face";
    image.src = `/pictures/${encodeURIComponent(person.picture)}`;
    image.alt = "";
    return image;
  }
  const face = document.createElement("span");
  face.className = `face hue-${Math.max(0, ID_ALPHABET.indexOf(person.id.at(-1) ?? "")) % HUES}`;
  face.textContent = initials(person.name);
  return face;
}

/** @param {string} name */
function initials(name) {
  const words = name.split(/\s+/).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  return words.slice(0, 2).map((word) => Array.from(word)[0]).join("").toUpperCase();
}

/**
 * @param {HTMLElement} item
 * @param {string[]} actions
 * @param {Person} person
 * @param {Act} act
 */
function renderActs(item, actions, person, act) {
  const place = part(item, ".person-acts");
  /** @type {Map<string, Element>} */
  const kept = new Map(Array.from(place.children, (button) => [button.getAttribute("data-action") ?? "", button]));
  actions.forEach((action, index) => {
    const button = kept.get(action) ?? newButton(action, () => act(action, person), place.dataset.style === "icons");
    kept.delete(action);
    button.setAttribute("aria-label", `${t(action)}: ${person.name}`);
    if (place.children[index] !== button) place.insertBefore(button, place.children[index] ?? null);
  });
  for (const button of kept.values()) removeKeepingFocus(button, place);
}

/**
 * @param {string} action
 * @param {() => void} onClick
 * @param {boolean} asIcon
 */
function newButton(action, onClick, asIcon) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = `button button-small${action === "remove" ? " button-danger" : ""}`;
  button.dataset.action = action;
  button.dataset.test = action.replaceAll("_", "-");
  if (asIcon || action === "remove" || action === "lower_hand") {
    button.classList.add("button-icon");
    button.title = t(action);
    button.append(icon(action));
  } else {
    button.textContent = t(action);
  }
  button.addEventListener("click", onClick);
  return button;
}

/**
 * @param {HTMLElement} item
 * @param {string} selector
 * @returns {HTMLElement}
 */
function part(item, selector) {
  const found = item.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`no ${selector}`);
  return found;
}
