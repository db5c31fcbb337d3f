import assert from "node:assert/strict";
import { test } from "node:test";
import { type Ask, begun, follow, type Progress, type Time } from "../src/live";

/** A clock that goes on while somebody rests, and when told to. */
class Clock implements Time {
  at = 0;
  now = () => this.at;
  rest = async (milliseconds: number) => void (this.at += milliseconds);
}

const STEPS = 1_000_000;

/** A server whose fit takes a step each millisecond, and makes a state whenever one is asked for. */
function server(clock: Clock, endMs: number) {
  let version = 1;
  const asked = { "live.json": [] as number[], "step.json": [] as number[] };
  const ask: Ask = async (name) => {
    asked[name].push(clock.at);
    const told: Progress = { version, step: clock.at, steps: STEPS, finished: clock.at >= endMs };
    if (name === "live.json") version++;
    return told;
  };
  return { ask, asked };
}

test("drawing takes no more than a fortieth of the time, whatever a picture takes", async () => {
  for (const tookMs of [1, 300, 5000]) {
    const clock = new Clock();
    const { ask } = server(clock, 1_000_000);
    let spent = tookMs;
    let shown = 0;
    const show = async () => {
      clock.at += tookMs;
      spent += tookMs;
      shown++;
    };
    await follow(ask, show, () => {}, clock, tookMs);
    assert.ok(spent / clock.at <= 1 / 40 + 2 * tookMs / clock.at, `${tookMs} ms a picture: ${spent} of ${clock.at} ms`);
    assert.ok(shown >= 4);
  }
});

test("between updates only the step is asked for, every five seconds", async () => {
  const clock = new Clock();
  const { ask, asked } = server(clock, 100_000);
  await follow(ask, async () => {}, () => {}, clock, 1000);
  assert.ok((asked["live.json"][0] ?? 0) >= 40_000);
  assert.deepEqual(asked["step.json"].slice(0, 4), [0, 5000, 10_000, 15_000]);
});

test("it is said how far the fit is, and that it is finished or gone", async () => {
  const clock = new Clock();
  const said: string[] = [];
  await follow(server(clock, 6000).ask, async () => {}, (words) => said.push(words), clock, 0);
  assert.match(said[1] ?? "", /^Step 2,000 of 1,000,000$/);
  assert.equal(said.at(-1), "The fit is finished");
  await follow(async () => null, async () => {}, (words) => said.push(words), clock, 0);
  assert.match(said.at(-1) ?? "", /stopped/);
});

test("the last state is shown at once when all is done", async () => {
  const clock = new Clock();
  const told = [1, 1, 2].map((version, i) => ({ version, step: 9, steps: 9, finished: i === 2 }));
  let shown = 0;
  await follow(async () => told.shift() ?? null, async () => void shown++, () => {}, clock, 60_000);
  assert.equal(shown, 1);
  assert.ok(clock.at < 60_000);
});

test("the page waits for a first state", async () => {
  const clock = new Clock();
  const told: (Progress | null)[] = [0, 0, 1].map((version) => ({ version, step: 0, steps: 0, finished: false }));
  assert.equal(await begun(async () => told.shift() ?? null, clock), true);
  assert.equal(clock.at, 4000);
  assert.equal(await begun(async () => null, clock), false);
});
