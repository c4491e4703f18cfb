/** Waiting for what comes by itself. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** What `holds` gives, once that is true; it may be async. `what` says what was waited for, or is a function that also tells what was seen instead. */
export async function until(holds, what = String(holds), ms = 10000) {
  for (const deadline = performance.now() + ms; ; await sleep(10)) {
    const held = await holds();
    if (held) return held;
    assert.ok(performance.now() < deadline, `${typeof what === 'function' ? what() : what}: not within ${ms} ms`);
  }
}
