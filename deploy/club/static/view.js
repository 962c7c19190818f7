// The page from the state, and nothing else: no request leaves from here. Lists keep their elements
// between renderings, so focus stays where it is while the room changes.

const HUES = [12, 38, 96, 150, 176, 204, 232, 268, 300, 334];

export const byId = (id) => document.getElementById(id);

export function renderRoom(state, act) {
  const { room, you, speaking } = state;
  const manages = you.moderator && you.present;
  byId("room-name").textContent = ` / ${room.room}`;
  const people = room.stage.length + room.audience_count;
  byId("head-count").textContent = people === 1 ? "1 person" : `${people} people`;
  renderList(byId("stage"), room.stage, "stage-item", (item, person) => {
    renderSpeaker(item, person, state);
    renderActs(item, manages ? stageActs(person, you) : [], person, act);
  });
  byId("stage-empty").hidden = room.stage.length > 0;
  byId("hands-section").hidden = room.hands.length === 0;
  renderList(byId("hands"), room.hands, "row-item", (item, person) => {
    renderFace(item, person, you);
    renderActs(item, manages ? handActs(person) : [], person, act);
  });
  renderList(byId("audience"), room.audience, "row-item", (item, person) => {
    renderFace(item, person, you);
    renderActs(item, manages && person.id !== you.id ? AUDIENCE_ACTS : [], person, act);
  });
  const more = room.audience_count - room.audience.length;
  byId("audience-more").hidden = more <= 0;
  byId("audience-more").textContent = `and ${more} more`;
  renderSpeaking(speaking);
}

export function renderSpeaking(speaking) {
  for (const item of byId("stage").children) {
    item.classList.toggle("speaking", speaking.has(item.dataset.id));
  }
}

export function renderControls({ you, blocked, busy }) {
  const onStage = you.present && you.role !== "listener";
  const mic = byId("mic-button");
  mic.hidden = !onStage;
  mic.textContent = you.muted ? "Unmute" : "Mute";
  mic.setAttribute("aria-pressed", String(!you.muted));
  mic.disabled = busy || you.mute_locked;
  const hand = byId("hand-button");
  hand.hidden = !you.present || onStage;
  hand.textContent = you.hand ? "Lower hand" : "Raise hand";
  hand.setAttribute("aria-pressed", String(you.hand));
  hand.disabled = busy;
  byId("step-down-button").hidden = !onStage || you.role === "moderator";
  byId("sound-button").hidden = !blocked;
  byId("standing").textContent = standing(you, onStage);
}

export function showBanner(text) {
  const banner = byId("banner");
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
}

function standing(you, onStage) {
  if (!you.present) return "Connecting…";
  if (!onStage) return you.hand ? "Your hand is up. You are listening." : "You are listening.";
  const place = you.role === "moderator" ? "You are moderating" : "You are on stage";
  if (you.mute_locked) return `${place}. A moderator muted you.`;
  return you.muted ? `${place}, muted.` : `${place}, on air.`;
}

function renderList(list, people, template, render) {
  const kept = new Map(Array.from(list.children, (item) => [item.dataset.id, item]));
  people.forEach((person, index) => {
    const item = kept.get(person.id) ?? newItem(template, person.id);
    kept.delete(person.id);
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
    render(item, person);
  });
  for (const item of kept.values()) item.remove();
}

function newItem(template, id) {
  const item = byId(template).content.firstElementChild.cloneNode(true);
  item.dataset.id = id;
  return item;
}

function renderFace(item, person, you) {
  const face = item.querySelector(".face");
  face.textContent = initials(person.name);
  face.style.setProperty("background", `hsl(${hue(person.id)} 45% 42%)`);
  item.querySelector(".name").textContent = person.id === you.id ? `${person.name} (you)` : person.name;
}

function renderSpeaker(item, person, { you }) {
  renderFace(item, person, you);
  item.classList.toggle("away", person.away);
  const tags = [];
  if (person.role === "moderator") tags.push("moderator");
  if (person.away) tags.push("connecting");
  else if (person.muted) tags.push("muted");
  item.querySelector(".tags").textContent = tags.join(" · ");
}

const AUDIENCE_ACTS = [["call_up", "Call up"], ["remove", "Remove"]];

function handActs() {
  return [["call_up", "Call up"], ["lower_hand", "Lower"]];
}

function stageActs(person, you) {
  if (person.id === you.id || person.role === "moderator") return [];
  const acts = [["send_back", "Send back"], ["remove", "Remove"]];
  return person.muted ? acts : [["mute", "Mute"], ...acts];
}

function renderActs(item, acts, person, act) {
  const place = item.querySelector(".acts");
  const kept = new Map(Array.from(place.children, (button) => [button.dataset.action, button]));
  acts.forEach(([action, label], index) => {
    const button = kept.get(action) ?? newButton(action, label, person.id, act);
    kept.delete(action);
    button.setAttribute("aria-label", `${label}: ${person.name}`);
    if (place.children[index] !== button) place.insertBefore(button, place.children[index] ?? null);
  });
  for (const button of kept.values()) button.remove();
}

function newButton(action, label, target, act) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "small";
  button.dataset.action = action;
  button.textContent = label;
  button.addEventListener("click", () => act(action, target));
  return button;
}

function initials(name) {
  const words = name.split(/\s+/).filter((word) => /^[\p{L}\p{N}]/u.test(word));
  return words.slice(0, 2).map((word) => Array.from(word)[0]).join("").toUpperCase();
}

function hue(id) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return HUES[sum % HUES.length];
}
