import { useLayoutEffect, useRef } from 'preact/hooks';

/** A thin line that fills; `fraction` null: something is going on, nobody knows how long. */
export function ProgressBar({ fraction, label }: { fraction: number | null; label: string }) {
  const fill = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    fill.current?.style.setProperty('transform', `scaleX(${fraction ?? 0})`);
  }, [fraction]);
  const value = fraction === null ? {} : { 'aria-valuenow': Math.round(fraction * 100) };
  return (
    <div
      class={`progress ${fraction === null ? 'progress-unknown' : ''}`}
      role="progressbar"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      {...value}
    >
      <div ref={fill} class="progress-fill" />
    </div>
  );
}
