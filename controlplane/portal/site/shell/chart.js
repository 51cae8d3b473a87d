// Bars over time as SVG. Who does not see them has the same numbers in a table.
import { h, table } from './dom.js';

const WIDTH = 640;
const HEIGHT = 160;
const GAP = 2;

function svg(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// 1, 2 or 5 times a power of ten: the least that is not below.
export function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= value);
}

// bars('Events', [{label, parts: [number, ...]}], ['published', 'read']): parts stand on each other.
export function bars(title, points, names) {
  const top = ceiling(Math.max(0, ...points.map((point) => point.parts.reduce((a, b) => a + b, 0))));
  const step = WIDTH / Math.max(points.length, 1);
  const drawn = points.flatMap((point, i) => {
    let y = HEIGHT;
    return point.parts.map((value, part) => {
      const height = (value / top) * HEIGHT;
      y -= height;
      return svg('rect', { class: `bar${part}`, x: i * step + GAP / 2, y, width: Math.max(step - GAP, 1), height }, svg('title', {}, `${point.label}: ${value} ${names[part]}`));
    });
  });
  const sums = names.map((name, part) => `${points.reduce((sum, point) => sum + point.parts[part], 0).toLocaleString()} ${name}`);
  return h('figure', { class: 'chart' },
    h('figcaption', {}, h('strong', {}, title), ' ', names.map((name, part) => h('span', { class: `key key${part}` }, sums[part]))),
    h('p', { class: 'quiet small', 'aria-hidden': 'true' }, top.toLocaleString()),
    svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${title}: ${sums.join(', ')}`, preserveAspectRatio: 'none' }, ...drawn),
    h('div', { class: 'row apart quiet small', 'aria-hidden': 'true' }, h('span', {}, points[0]?.label), h('span', {}, points.at(-1)?.label)),
    h('details', {}, h('summary', {}, 'As a table'),
      table(title, ['When', ...names], points.filter((point) => point.parts.some((value) => value > 0)).map((point) => [point.label, ...point.parts.map((value) => value.toLocaleString())]), 'Nothing was counted.')));
}
