// What was used, by hour or day, as bars and as a file.
import { h } from '../shell/dom.js';
import { url } from '../shell/api.js';
import { bars } from '../shell/chart.js';
import { field } from '../shell/form.js';
import { all, part } from '../shell/parts.js';

const PERIODS = { hour: { ms: 3600000, count: 48, label: { hour: '2-digit', weekday: 'short' } }, day: { ms: 86400000, count: 30, label: { day: 'numeric', month: 'short' } } };

const published = (row) => row.operation === 'publish' || row.operation === 'kafka-produce';

// Each period from the first to now, also those of which nothing is told.
export function spread(rows, by, now = Date.now()) {
  const { ms, count, label } = PERIODS[by];
  const last = Math.floor(now / ms) * ms;
  const format = new Intl.DateTimeFormat(undefined, { ...label, timeZone: 'UTC' });
  const points = Array.from({ length: count }, (_, i) => ({ at: last - (count - 1 - i) * ms, parts: [0, 0], errors: [0, 0] }));
  for (const row of rows) {
    const point = points[Math.round((Date.parse(row.at) - points[0].at) / ms)];
    if (!point) continue;
    point.parts[published(row) ? 0 : 1] += row.events;
    point.errors[0] += row.errors;
    point.errors[1] += row.throttled;
  }
  return points.map((point) => ({ ...point, label: format.format(point.at) }));
}

// usage({application}) or usage({event_api}): a part of a page.
export function usage(filter) {
  let by = 'hour';
  return part('Usage', async (again) => {
    const { ms, count } = PERIODS[by];
    const from = new Date(Math.floor(Date.now() / ms) * ms - (count - 1) * ms).toISOString();
    const points = spread(await all('/v1/usage', { ...filter, by, from }), by);
    const choice = field({
      name: 'by', label: 'By', required: true, options: [['hour', 'hour, two days'], ['day', 'day, thirty days']], value: by,
      onchange: async (event) => {
        by = event.target.value;
        await again();
      },
    });
    return h('div', {}, h('div', { class: 'row apart' }, choice, h('a', { href: url('/v1/usage', { ...filter, by, from, format: 'csv' }), download: 'usage.csv' }, 'Download as CSV')),
      bars('Events (UTC)', points, ['published', 'read']),
      points.some((point) => point.errors[0] + point.errors[1] > 0) && bars('Refused (UTC)', points.map((point) => ({ label: point.label, parts: point.errors })), ['errors', 'throttled']));
  });
}
