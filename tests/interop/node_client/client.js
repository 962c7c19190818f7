// A client of the control protocol (control/PROTOCOL.md): node client.js HOST PORT KEY_ID SECRET ROOM
// It authenticates, subscribes to the room, creates it, shows that a refusal and a repeated key are what
// they should be, closes it, and prints every result and event as one line of JSON.
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { decode, encode } from "@msgpack/msgpack";

const [host, port, keyId, secret, room] = process.argv.slice(2);
const socket = connect(Number(port), host);
const waiting = new Map();
let received = Buffer.alloc(0);
let lastId = 0;

const print = (line) => console.log(JSON.stringify(line));

function send(map) {
  const body = Buffer.from(encode(map));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  socket.write(Buffer.concat([length, body]));
}

function call(method, parameters = {}, envelope = {}) {
  const id = ++lastId;
  send({ t: "req", id, m: method, p: parameters, ...envelope });
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

function take(map) {
  if (map.t === "evt") return print({ event: map.m, seq: map.seq, room: map.room, p: map.p });
  const { resolve, reject } = waiting.get(map.id);
  waiting.delete(map.id);
  if (map.ok) resolve(map.p);
  else reject(Object.assign(new Error(map.err.message), map.err));
}

socket.on("data", (data) => {
  received = Buffer.concat([received, data]);
  while (received.length >= 4 && received.length >= 4 + received.readUInt32BE()) {
    const end = 4 + received.readUInt32BE();
    take(decode(received.subarray(4, end)));
    received = received.subarray(end);
  }
});

await once(socket, "connect");
const hello = await call("hello", { versions: [1], client: "node" });
const mac = createHmac("sha256", secret).update("sfu-control-1").update(hello.challenge).update(keyId).digest();
print({ scopes: (await call("auth", { key_id: keyId, mac })).scopes });
await call("events.subscribe", { rooms: [room] });
const create = () => call("room.create", { room, slots: 2 }, { key: `create-${room}`, deadline_ms: 5000 });
const [first, again] = await Promise.all([create(), create()]);
print({ created: first.room.room, slots: first.room.slots, same: first.room.version === again.room.version });
await call("participant.get", { room, participant: "nobody" }).catch((error) => print({ code: error.code, detail: error.detail }));
await call("room.lock", { room });
print({ participants: (await call("room.snapshot", { room })).participants });
await call("room.close", { room, reason: "over" });
await call("ping");
socket.end();
