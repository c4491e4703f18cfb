// How much of something is used: words, and a bar that says the same to those who see it.
import './meter.css';

/** kind: good | warn | bad. part: of 1; held: what is spoken for besides, of 1. */
export function Meter({ kind, part, held = 0, label, children }) {
  const used = Math.min(1, part);
  return (
    <div class="meter">
      <span>{children}</span>
      <div class="meter-line">
        <div class={`meter-bar ${kind}`} aria-hidden="true">
          <span style={{ width: `${used * 100}%` }} />
          <span class="held" style={{ width: `${Math.min(1 - used, held) * 100}%` }} />
        </div>
        <span class="meter-part">{label}</span>
      </div>
    </div>
  );
}
