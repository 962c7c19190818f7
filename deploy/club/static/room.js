// A visit to a live room, from opening the page to leaving it. It holds all state: what the server has
// told, and what became of the line; everything else shows it or carries out what is asked here.

import { Announcer } from "./announcer.js";
import { RoomApi } from "./api.js";
import {
  askToRemove, renderControls, renderInvitation, renderQuality, showBanner, showCaption, showEnd, showToast,
} from "./controls.js";
import { buttonById, byId, dialogById } from "./elements.js";
import { Feed } from "./feed.js";
import { Line } from "./line.js";
import { Microphone } from "./microphone.js";
import { renderPeople, renderSpeaking } from "./people.js";
import { hasText, t } from "./texts.js";

/**
 * @typedef {import("./statements.js").Statement} Statement
 * @typedef {import("./statements.js").YouStatement} You
 * @typedef {import("./statements.js").RoomStatement} Room
 */

class Visit {
  #api;
  #announcer = new Announcer(byId("announcement"));
  #microphone = new Microphone((track) => this.#sendMicrophone(track));
  #line;
  /** @type {Feed | null} */
  #feed = null;
  #isOver = false;
  #isDaemonUp = true;
  #isLinked = true;
  #wantsToTalk = false;
  // From a lost line until the microphone is open again: everybody joins muted.
  #isResuming = false;
  #problem = "";
  #state = { busy: false, blocked: false, connected: false };
  /** @type {You} */
  #you = {
    type: "you", id: null, generation: null, present: false, role: "listener", moderator: false, host: false,
    muted: true, mute_locked: false, hand: false, may: [],
  };
  /** @type {Room} */
  #room = {
    type: "room", room: "", stage: [], audience: [], audience_count: 0, hands: [], locked: false, hands_locked: false,
  };

  /** @param {RoomApi} api */
  constructor(api) {
    this.#api = api;
    this.#line = new Line(api, this.#microphone, {
      onState: (state) => this.#followLine(state),
      onBlocked: () => this.#change({ blocked: true }),
      onJoined: () => { this.#feed ??= this.#openFeed(); },
      onRefused: (error) => this.#end(error?.message ?? t("gave_up"), error === null),
    });
    this.#line.start();
  }

  #openFeed() {
    return new Feed(this.#api.socketAddress, {
      onStatement: (statement) => this.#hear(statement),
      onLink: (open) => {
        this.#isLinked = open;
        this.#showTrouble();
      },
      onEnd: () => this.#end(t("left_other"), true),
    });
  }

  /**
   * @param {string} action
   * @param {string | null} [target]
   */
  act(action, target = null) {
    return this.#guarded(() => this.#api.act(action, target));
  }

  toggleMicrophone() {
    if (this.#state.busy) return;
    this.#guarded(async () => {
      if (!this.#you.muted) {
        this.#wantsToTalk = false;
        this.#microphone.setTalking(false);
        await this.#api.act("mute");
        return;
      }
      await this.#microphone.open();
      this.#wantsToTalk = true;
      this.#microphone.setTalking(true);
      await this.#api.act("unmute");
    });
  }

  toggleHand() {
    if (this.#state.busy) return;
    this.act(this.#you.hand ? "lower_hand" : "raise_hand");
  }

  toggleLock() {
    return this.act(this.#room.locked ? "unlock" : "lock");
  }

  toggleHands() {
    return this.act(this.#room.hands_locked ? "unlock_hands" : "lock_hands");
  }

  resumeSound() {
    this.#line.resumeSound();
    this.#change({ blocked: false });
  }

  networkChanged() {
    this.#line.networkChanged();
    this.#feed?.hurry();
  }

  /** @param {boolean} wanted */
  announceSpeakers(wanted) {
    this.#announcer.setSaysSpeakers(wanted);
  }

  get announcesSpeakers() {
    return this.#announcer.saysSpeakers;
  }

  /** Quietly: nobody is told but the server. */
  async leave() {
    if (this.#isOver) return;
    this.#close();
    await this.#api.leave();
  }

  #close() {
    this.#isOver = true;
    this.#feed?.close();
    this.#line.close();
    this.#microphone.close();
  }

  /**
   * @param {string} text
   * @param {boolean} mayReturn
   */
  #end(text, mayReturn) {
    if (this.#isOver) return;
    this.#close();
    showEnd(text, mayReturn);
  }

  /** @param {Statement} statement */
  #hear(statement) {
    switch (statement.type) {
      case "daemon":
        this.#isDaemonUp = statement.up;
        this.#showTrouble();
        break;
      case "you":
        this.#followYou(statement);
        break;
      case "room":
        this.#room = statement;
        this.#render();
        break;
      case "locked":
        this.#followLocks(statement);
        break;
      case "speakers":
        this.#followSpeakers(statement.speakers);
        break;
      case "quality":
        renderQuality(statement);
        break;
      case "invited":
        if (renderInvitation(statement)) this.#announcer.say(byId("invitation-text").textContent ?? "");
        break;
      default:
        this.#hearOccurrence(statement);
    }
  }

  /** @param {Statement} statement */
  #hearOccurrence(statement) {
    switch (statement.type) {
      case "notice":
        showToast(statement.text, statement.href);
        this.#announcer.say(statement.text);
        break;
      case "caption":
        showCaption(statement);
        break;
      case "rejoin":
        this.#line.rejoin();
        break;
      case "left": {
        const key = `left_${statement.reason}`;
        this.#end(hasText(key) ? t(key) : t("left_other"), statement.reason === "replaced");
        break;
      }
      case "ended":
        this.#end(t("ended"), false);
        break;
    }
  }

  /** @param {You} you */
  #followYou(you) {
    if (this.#api.isReplacedBy(you.generation)) {
      this.#end(t("left_replaced"), true);
      return;
    }
    const before = this.#you;
    this.#you = you;
    const isOnStage = you.present && you.role !== "listener";
    const wasOnStage = before.present && before.role !== "listener";
    if (isOnStage && before.present && !wasOnStage) this.#announcer.say(t("came_up"));
    if (!isOnStage && wasOnStage && you.present) this.#announcer.say(t("went_down"));
    if (isOnStage && !before.muted && you.muted && this.#wantsToTalk && !this.#isResuming) {
      this.#wantsToTalk = false;
      this.#announcer.say(t("was_muted"));
    }
    if (you.present && !isOnStage) {
      this.#wantsToTalk = false;
      this.#microphone.close();
    }
    this.#microphone.setTalking(!you.muted);
    if (isOnStage && !you.muted && !this.#microphone.track) this.act("mute");
    this.#render();
  }

  /** @param {{locked: boolean, hands_locked: boolean}} locks */
  #followLocks({ locked, hands_locked }) {
    if (locked && !this.#room.locked) this.#announcer.say(t("now_locked"));
    this.#room = { ...this.#room, locked, hands_locked };
    this.#render();
  }

  /** @param {{id: string}[]} speakers */
  #followSpeakers(speakers) {
    renderSpeaking(new Set(speakers.map((speaker) => speaker.id)));
    const first = this.#room.stage.find((person) => person.id === speakers[0]?.id);
    if (first && first.id !== this.#you.id) this.#announcer.saySpeaker(t("speaking", { name: first.name }));
  }

  /** @param {import("./line.js").LineState} state */
  #followLine(state) {
    const isBack = state === "connected" && !this.#state.connected;
    if (state === "lost" && this.#wantsToTalk) this.#isResuming = true;
    this.#change({ connected: state === "connected" });
    this.#problem = state === "disturbed" || state === "lost" ? t("reconnecting") : "";
    this.#showTrouble();
    if (isBack && this.#isResuming) this.#resumeTalking();
  }

  async #resumeTalking() {
    try {
      if (this.#microphone.track) await this.#api.act("unmute");
    } catch {
      this.#wantsToTalk = false;
    } finally {
      this.#isResuming = false;
    }
  }

  /** @param {MediaStreamTrack | null} track */
  #sendMicrophone(track) {
    this.#line?.send(track);
    if (!track && this.#wantsToTalk && !this.#isOver) this.act("mute");
  }

  #showTrouble() {
    // Without the audio server there can be no line: the cause is told, not what follows from it.
    if (this.#isLinked && !this.#isDaemonUp) showBanner(t("daemon_away"));
    else if (this.#problem) showBanner(this.#problem);
    else if (!this.#isLinked) showBanner(t("offline_listening"));
    else showBanner("");
  }

  /** @param {Partial<{busy: boolean, blocked: boolean, connected: boolean}>} changes */
  #change(changes) {
    this.#state = { ...this.#state, ...changes };
    renderControls(this.#you, this.#room, this.#state);
  }

  #render() {
    renderPeople(this.#room, this.#you, (action, { id, name }) => {
      const act = () => { this.act(action, id); };
      if (action === "remove") askToRemove(name, act);
      else act();
    });
    renderControls(this.#you, this.#room, this.#state);
  }

  /**
   * Whether it was done; what went wrong is said.
   * @param {() => Promise<unknown>} work
   */
  async #guarded(work) {
    this.#change({ busy: true });
    try {
      await work();
      return true;
    } catch (error) {
      const text = errorText(error);
      showToast(text);
      this.#announcer.say(text);
      return false;
    } finally {
      this.#change({ busy: false });
    }
  }
}

/** @param {unknown} error */
function errorText(error) {
  if (error instanceof DOMException && hasText(`microphone_${error.name}`)) return t(`microphone_${error.name}`);
  return error instanceof Error && error.message ? error.message : t("failed");
}

/** @param {Visit} visit */
function bindOwnButtons(visit) {
  buttonById("mic").addEventListener("click", () => visit.toggleMicrophone());
  buttonById("hand").addEventListener("click", () => visit.toggleHand());
  buttonById("go-up").addEventListener("click", () => visit.act("call_up"));
  buttonById("leave-stage").addEventListener("click", () => visit.act("leave_stage"));
  buttonById("sound").addEventListener("click", () => visit.resumeSound());
  buttonById("accept").addEventListener("click", () => visit.act("accept"));
  buttonById("decline").addEventListener("click", () => visit.act("decline"));
  buttonById("leave").addEventListener("click", () => visit.leave().finally(() => location.assign("/hall")));
  buttonById("return").addEventListener("click", () => location.reload());
  const announce = byId("announce");
  if (!(announce instanceof HTMLInputElement)) return;
  announce.checked = visit.announcesSpeakers;
  announce.addEventListener("change", () => visit.announceSpeakers(announce.checked));
}

/** @param {Visit} visit */
function bindRoomButtons(visit) {
  buttonById("lock").addEventListener("click", () => visit.toggleLock());
  buttonById("lock-hands").addEventListener("click", () => visit.toggleHands());
  buttonById("end").addEventListener("click", () => dialogById("end-dialog").showModal());
  buttonById("end-yes").addEventListener("click", () => visit.act("end"));
  buttonById("ping").addEventListener("click", () => dialogById("ping-dialog").showModal());
  for (const button of document.querySelectorAll("#ping-dialog button[data-friend]")) {
    if (!(button instanceof HTMLButtonElement)) continue;
    button.addEventListener("click", async () => {
      button.disabled = true;
      if (await visit.act("ping", button.dataset.friend)) button.textContent = t("pinged");
    });
  }
}

/** @param {Visit} visit */
function bindBrowser(visit) {
  addEventListener("online", () => visit.networkChanged());
  followNetwork(() => visit.networkChanged());
  addEventListener("pagehide", () => { visit.leave(); });
  // Kept by the browser and shown again, the page is a new visit.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

/**
 * From Wi-Fi to a mobile network and back, where the browser tells that; its other news are guesses at speeds.
 * @param {() => void} onChange
 */
function followNetwork(onChange) {
  /** @type {(EventTarget & {type?: string}) | undefined} */
  const network = Reflect.get(navigator, "connection");
  let type = network?.type;
  network?.addEventListener("change", () => {
    if (network.type !== type) onChange();
    type = network.type;
  });
}

function start() {
  const { room = "", csrf = "", topic = "" } = byId("main").dataset;
  const visit = new Visit(new RoomApi(room, csrf));
  bindOwnButtons(visit);
  bindRoomButtons(visit);
  bindBrowser(visit);
  // What a phone shows on its locked screen.
  if ("mediaSession" in navigator) {
    navigator.mediaSession.metadata = new MediaMetadata({ title: topic, artist: document.title });
  }
}

start();
