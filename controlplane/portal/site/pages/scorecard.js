// How far event APIs meet the rules of administrators, and what is to be done.
import { h, notice, table } from '../shell/dom.js';
import { get, key, url } from '../shell/api.js';
import { pages, part, tag } from '../shell/parts.js';

export const scoreText = ({ score, level }) => `${score} %${level ? `, ${level}` : ''}`;
const nameOf = (rule) => rule.title || rule.name;

// What would stop a publication now; nothing when nothing would.
export function blockers(rules) {
  if (!(rules ?? []).length) return null;
  return notice('', h('p', {}, 'It cannot be published before these rules are met:'),
    h('ul', {}, rules.map((rule) => h('li', {}, `${nameOf(rule)}: ${rule.hint}`, rule.detail && h('span', { class: 'quiet' }, ` (${rule.detail})`)))));
}

function rulesOf(card) {
  const sorted = [...card.rules].sort((a, b) => a.met - b.met);
  return table('Rules', ['Rule', 'Level', 'Points', 'Met', 'What to do'], sorted.map((rule) => [
    [nameOf(rule), rule.blocking && h('span', { class: 'quiet small' }, ' (needed to publish)')], rule.level, String(rule.points),
    h('span', { class: `tag ${rule.met ? 'good' : 'warn'}` }, rule.met ? 'met' : 'not met'), rule.met ? '–' : [rule.hint, rule.detail && h('span', { class: 'quiet' }, ` (${rule.detail})`)],
  ]));
}

// Of one API (`kind`: event-apis, rest-apis); without rules that are about it there is nothing to see. `withBlockers`: for its owners.
export function scorecard(kind, name, { withBlockers = false } = {}) {
  const section = part('Scorecard', async () => {
    const card = await get(`/v1/${kind}/${key(name)}/scorecard`);
    section.hidden = card.rules.length === 0 && (card.blocked_by ?? []).length === 0;
    return h('div', {}, card.score !== null && h('p', {}, h('strong', {}, scoreText(card))), withBlockers && blockers(card.blocked_by), card.rules.length > 0 && rulesOf(card));
  });
  return section;
}

// Of a team's event APIs, a page at a time. `path(item)` is where each leads.
export function scorecards(team, path) {
  const section = part(`Scorecards of ${team.title || team.name}`, async () => {
    const { rules, items } = await get(url('/v1/scorecards', { team: team.name, limit: 1 }));
    section.hidden = rules === 0 || items.length === 0;
    if (section.hidden) return '';
    return pages('/v1/scorecards', { team: team.name, limit: 50 }, (item) => h('div', { class: 'entry' },
      h('div', { class: 'row apart' }, h('span', {}, h('a', { href: path(item) }, item.title || item.key), ' ', h('span', { class: 'quiet' }, item.key)),
        h('span', { class: 'row' }, item.blocked_by.length > 0 && h('span', { class: 'tag warn' }, 'cannot be published'), item.score === null ? 'no rules' : scoreText(item), tag(item.lifecycle))),
      item.failed.length > 0 && h('p', { class: 'quiet small' }, `Not met: ${item.failed.join(', ')}`)), 'Nothing yet.');
  });
  return section;
}
