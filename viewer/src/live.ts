/** A fit that is still going on: says how far it is, and asks for the scene as seldom as drawing it costs. */

/** What live.json and step.json say; asking for live.json also asks the fit for a later state. */
export interface Progress {
  /** Of the scene; 0 is none yet. */
  version: number;
  step: number;
  steps: number;
  finished: boolean;
}

/** Times as long as an update took, the page waits before the next: a browser may draw on the cores of the fit. */
const REST = 40;
const LEAST_REST_MS = 2000;
/** Between two questions how far the fit is. */
const STEP_MS = 5000;

type Say = (words: string) => void;

/** Returns what `live.json` or `step.json` says; null if nobody answers. */
export type Ask = (name: "live.json" | "step.json") => Promise<Progress | null>;

/** The page's clock and its visibility; tests have their own. */
export interface Time {
  now(): number;
  /** Resolves after so long, and not before somebody looks. */
  rest(milliseconds: number): Promise<void>;
}

/** Resolves when there is a scene to show; false if there will be none. */
export async function begun(ask: Ask, time: Time): Promise<boolean> {
  for (;;) {
    const progress = await ask("live.json");
    if (progress?.version) return true;
    if (progress === null || progress.finished) return false;
    await time.rest(LEAST_REST_MS);
  }
}

/** Follows a fit to its end. `show` brings the latest scene to the screen; the one there now took `tookMs`. */
export async function follow(ask: Ask, show: () => Promise<void>, say: Say, time: Time, tookMs: number): Promise<void> {
  let shown = 0; // version; the first may be of any
  let due = time.now() + restAfter(tookMs);
  for (;;) {
    const isDue = time.now() >= due;
    const progress = await ask(isDue ? "live.json" : "step.json");
    if (progress === null) return say("The fit has stopped: it does not answer any more");
    say(words(progress));
    const { version, finished } = progress;
    if (shown === 0) shown = version;
    if (version !== shown && (isDue || finished)) {
      const began = time.now();
      try {
        await show();
      } catch (error) {
        return say(`Not up to date: ${(error as Error).message}`);
      }
      shown = version;
      due = time.now() + restAfter(time.now() - began);
    }
    if (finished) return;
    const left = due - time.now();
    await time.rest(left > 0 ? Math.min(left, STEP_MS) : LEAST_REST_MS);
  }
}

export const restAfter = (tookMs: number): number => Math.max(REST * tookMs, LEAST_REST_MS);

function words({ step, steps, finished }: Progress): string {
  const n = (x: number) => x.toLocaleString("en-GB");
  if (finished) return "The fit is finished";
  return step === steps ? `Step ${n(step)} of ${n(steps)}: the result is being measured` : `Step ${n(step)} of ${n(steps)}`;
}

export const askServer: Ask = async (name) => {
  try {
    const answer = await fetch(name);
    return answer.ok ? ((await answer.json()) as Progress) : null;
  } catch {
    return null;
  }
};

export const pageTime: Time = {
  now: () => performance.now(),
  rest: async (milliseconds) => {
    await new Promise((done) => setTimeout(done, milliseconds));
    while (document.hidden) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
  },
};
