// The visit: at the door, in the room, and back. One `Visit` lives from joining to leaving and survives
// lost connections; it is the only place that holds state.

import { Announcer } from "./announcer.js";
import { ApiError, farewell, post } from "./api.js";
import { AudioConnection } from "./connection.js";
import { Feed } from "./feed.js";
import { byId, renderControls, renderRoom, renderSpeaking, showBanner } from "./view.js";

// A connection that is only disturbed usually recovers within a few seconds.
const DISTURBED_MS = 6000;
// After this many attempts in a row the person decides.
const REJOINS_MAX = 8;

const announcer = new Announcer(byId("announcement"));
const moderatorKey = new URLSearchParams(location.hash.slice(1)).get("moderator");
let visit = null;

class Visit {
  #token = null;
  #connection = null;
  #feed = null;
  #rejoins = 0;
  #rejoinTimer = null;
  #disturbedTimer = null;
  #daemonUp = true;
  #linked = true;
  #trouble = "";

  constructor(room, name) {
    this.room = room;
    this.name = name;
    this.state = {
      room: { room, stage: [], hands: [], audience: [], audience_count: 0 },
      you: { id: null, moderator: false, present: false, role: "listener", muted: true, hand: false },
      speaking: new Set(),
      blocked: false,
      busy: false,
    };
  }

  async enter() {
    const connection = this.#newConnection();
    const body = { room: this.room, name: this.name, offer: await connection.offer() };
    if (this.#token) body.token = this.#token;
    else if (moderatorKey) body.moderator_key = moderatorKey;
    const joined = await post("/api/join", body);
    if (connection !== this.#connection) return;
    this.#token = joined.token;
    await connection.accept(joined.answer);
    this.#feed ??= new Feed(joined.token, {
      on: (statement) => this.#hear(statement),
      onLink: (open) => this.#setLinked(open),
      onEnd: () => endVisit("You are not in the club any more. Join again."),
    });
  }

  act(action, target = null) {
    return this.#guarded(() => post("/api/act", { token: this.#token, action, target }));
  }

  async toggleMicrophone() {
    await this.#guarded(async () => {
      if (!this.state.you.muted) {
        this.#connection.setTalking(false);
        await post("/api/act", { token: this.#token, action: "mute" });
        return;
      }
      await this.#connection.openMicrophone();
      this.#connection.setTalking(true);
      await post("/api/act", { token: this.#token, action: "unmute" });
    });
  }

  toggleHand() {
    return this.act(this.state.you.hand ? "lower_hand" : "raise_hand");
  }

  resumeSound() {
    this.state.blocked = false;
    this.#connection.resumeSound();
    renderControls(this.state);
  }

  leave() {
    if (this.#token) farewell(this.#token);
    this.close();
  }

  close() {
    clearTimeout(this.#rejoinTimer);
    clearTimeout(this.#disturbedTimer);
    this.#feed?.close();
    this.#connection?.close();
    this.#connection = null;
  }

  #newConnection() {
    this.#connection?.close();
    const connection = new AudioConnection({
      onState: (state) => {
        if (connection === this.#connection) this.#followConnection(state);
      },
      onBlocked: () => {
        this.state.blocked = true;
        renderControls(this.state);
      },
    });
    this.#connection = connection;
    return connection;
  }

  #followConnection(state) {
    clearTimeout(this.#disturbedTimer);
    if (state === "connected") this.#rejoins = 0;
    if (state === "failed" || state === "closed") this.#rejoinSoon();
    if (state === "disconnected") {
      this.#disturbedTimer = setTimeout(() => this.#rejoinSoon(), DISTURBED_MS);
    }
    this.#showTrouble();
  }

  #hear(statement) {
    switch (statement.type) {
      case "daemon":
        this.#daemonUp = statement.up;
        this.#showTrouble();
        break;
      case "you":
        this.#followYou(statement);
        break;
      case "room":
        this.state.room = statement;
        renderRoom(this.state, (action, target) => this.act(action, target));
        break;
      case "speakers":
        this.#followSpeakers(statement.speakers);
        break;
      case "rejoin":
        this.#rejoinSoon();
        break;
      case "left":
        endVisit(farewellText(statement));
        break;
    }
  }

  #followYou(you) {
    const before = this.state.you;
    this.state.you = you;
    const isOnStage = you.role !== "listener";
    if (before.present && isOnStage && before.role === "listener") {
      announcer.say("You are on stage. Unmute when you want to speak.");
    }
    if (!isOnStage && this.#connection?.hasMicrophone) this.#connection.closeMicrophone();
    this.#connection?.setTalking(!you.muted);
    if (you.present && !you.muted && isOnStage && !this.#connection?.hasMicrophone) this.act("mute");
    renderControls(this.state);
  }

  #followSpeakers(speakers) {
    this.state.speaking = new Set(speakers.map((speaker) => speaker.id));
    renderSpeaking(this.state.speaking);
    const first = this.state.room.stage.find((person) => person.id === speakers[0]?.id);
    if (first) announcer.say(`${first.name} is speaking`);
  }

  #rejoinSoon() {
    if (this.#rejoinTimer !== null) return;
    if (this.#rejoins >= REJOINS_MAX) {
      endVisit("The connection does not come back. Join again when you are ready.");
      return;
    }
    this.#rejoins += 1;
    this.#trouble = "The connection was lost. Coming back…";
    this.#showTrouble();
    // Spread out, because everybody loses a server at the same moment; and not at once, because news
    // that this visit is over may be under way.
    const pause = 500 + Math.random() * 700 * this.#rejoins;
    this.#rejoinTimer = setTimeout(() => this.#rejoin(), pause);
  }

  async #rejoin() {
    this.#rejoinTimer = null;
    try {
      await this.enter();
      this.#trouble = "";
      this.#showTrouble();
    } catch (error) {
      if (error.code === "unknown_visitor" || error.code === "forbidden") endVisit(error.message);
      else this.#rejoinSoon();
    }
  }

  #setLinked(open) {
    this.#linked = open;
    this.#showTrouble();
  }

  #showTrouble() {
    if (!this.#linked) showBanner("The club cannot be reached. Trying again…");
    else if (!this.#daemonUp) showBanner("The audio server is away. The sound comes back by itself.");
    else showBanner(this.#trouble);
  }

  async #guarded(work) {
    this.state.busy = true;
    renderControls(this.state);
    try {
      await work();
      showBanner("");
    } catch (error) {
      showBanner(errorText(error));
    } finally {
      this.state.busy = false;
      renderControls(this.state);
    }
  }
}

function errorText(error) {
  if (error instanceof ApiError) return error.message;
  if (error.name === "NotAllowedError") return "The microphone is not allowed. Allow it in the browser to speak.";
  if (error.name === "NotFoundError") return "No microphone was found.";
  return error.message || "Something went wrong.";
}

function farewellText({ reason, detail }) {
  const texts = {
    removed: "You were removed from the room",
    banned: "You were banned from the room",
    room_closed: "The room was closed",
  };
  const text = texts[reason] ?? "You left the room";
  return detail ? `${text} (${detail}).` : `${text}.`;
}

function showPlace(inRoom) {
  byId("door").hidden = inRoom;
  byId("room-view").hidden = !inRoom;
  byId("controls").hidden = !inRoom;
  if (!inRoom) {
    byId("room-name").textContent = "";
    byId("head-count").textContent = "";
    byId("name").focus();
  }
}

function endVisit(text) {
  visit?.close();
  visit = null;
  showPlace(false);
  showBanner(text);
}

async function join(event) {
  event.preventDefault();
  const button = byId("join-button");
  button.disabled = true;
  showBanner("");
  visit = new Visit(byId("room").value, byId("name").value.trim());
  try {
    await visit.enter();
    sessionStorage.setItem("name", visit.name);
    showPlace(true);
    renderControls(visit.state);
    byId("leave-button").focus({ preventScroll: true });
  } catch (error) {
    endVisit(errorText(error));
  } finally {
    button.disabled = false;
  }
}

function start() {
  const room = new URLSearchParams(location.search).get("room");
  if (room) byId("room").value = room;
  byId("name").value = sessionStorage.getItem("name") ?? "";
  if (moderatorKey) {
    byId("join-title").textContent = "Come in and moderate";
    byId("join-button").textContent = "Join as moderator";
  }
  byId("join-form").addEventListener("submit", join);
  byId("mic-button").addEventListener("click", () => visit?.toggleMicrophone());
  byId("hand-button").addEventListener("click", () => visit?.toggleHand());
  byId("step-down-button").addEventListener("click", () => visit?.act("step_down"));
  byId("sound-button").addEventListener("click", () => visit?.resumeSound());
  byId("leave-button").addEventListener("click", () => {
    visit?.leave();
    endVisit("");
  });
  addEventListener("pagehide", () => {
    visit?.leave();
    endVisit("");
  });
}

start();
