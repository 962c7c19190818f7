// Which buttons a person in charge sees beside others. The server decides, by room/authority.py; this only
// keeps buttons off the page that it would refuse.

/**
 * @typedef {import("./statements.js").YouStatement} You
 * @typedef {import("./statements.js").OnStage} OnStage
 */

/** @param {You} you */
export function isInCharge(you) {
  return you.present && you.moderator;
}

/**
 * @param {You} you
 * @param {OnStage} person
 */
export function actsOnStage(you, person) {
  const isModerator = person.role === "moderator";
  if (!isInCharge(you) || person.id === you.id || person.host || (isModerator && !you.host)) return [];
  const acts = ["move_down", isModerator ? "unmake_moderator" : "make_moderator", "remove"];
  return person.muted ? acts : ["mute_other", ...acts];
}

/**
 * @param {You} you
 * @param {{id: string}} person
 */
export function actsOnHand(you, person) {
  return isInCharge(you) && person.id !== you.id ? ["call_up", "lower_hand", "remove"] : [];
}

/**
 * @param {You} you
 * @param {{id: string}} person
 */
export function actsOnAudience(you, person) {
  return isInCharge(you) && person.id !== you.id ? ["invite", "remove"] : [];
}
