// What the server tells a live room's page over its socket, as types; there is no code here.

/**
 * @typedef {"moderator" | "speaker" | "listener"} Role as in the audio server
 * @typedef {{id: string, name: string, picture: string | null}} Seated
 * @typedef {Seated & {role: Role, host: boolean, muted: boolean, away: boolean}} OnStage
 * @typedef {Seated & {invited: boolean}} Hand
 *
 * @typedef {{type: "daemon", up: boolean}} DaemonStatement
 * @typedef {{type: "you", id: string | null, generation: number | null, present: boolean, role: Role,
 *   moderator: boolean, host: boolean, muted: boolean, mute_locked: boolean, hand: boolean,
 *   may: string[]}} YouStatement moderator, host: of this room, on stage or not; may: actions without a target
 * @typedef {{type: "room", room: string, stage: OnStage[], audience: Seated[], audience_count: number,
 *   hands: Hand[], locked: boolean, hands_locked: boolean}} RoomStatement
 * @typedef {{type: "speakers", speakers: {id: string, level: number}[]}} SpeakersStatement
 * @typedef {{type: "quality", tier: string, cause: string | null}} QualityStatement
 * @typedef {{type: "invited", invited: boolean, until: number | null, by: string | null}} InvitedStatement
 * @typedef {{type: "locked", locked: boolean, hands_locked: boolean}} LockedStatement
 * @typedef {{type: "notice", kind: string, text: string, href: string | null}} NoticeStatement
 * @typedef {{type: "caption", id: string, name: string, text: string, is_final: boolean}} CaptionStatement
 * @typedef {{type: "rejoin", reason: string}} RejoinStatement
 * @typedef {{type: "left", reason: string, detail?: string | null}} LeftStatement
 * @typedef {{type: "ended", reason?: string | null}} EndedStatement
 *
 * @typedef {DaemonStatement | YouStatement | RoomStatement | SpeakersStatement | QualityStatement
 *   | InvitedStatement | LockedStatement | NoticeStatement | CaptionStatement | RejoinStatement
 *   | LeftStatement | EndedStatement} Statement
 */

export {};
