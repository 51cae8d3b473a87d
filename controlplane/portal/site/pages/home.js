import { h } from '../shell/dom.js';
import { session } from '../shell/api.js';

export function home() {
  const who = session.user;
  return h('div', {},
    h('h1', {}, `Welcome, ${who.title || who.name}`),
    h('section', { class: 'card' },
      h('h2', {}, 'You'),
      h('dl', { class: 'facts' },
        h('dt', {}, 'Teams'), h('dd', {}, who.teams.map((team) => team.title || team.name).join(', ') || 'none'),
        h('dt', {}, 'Roles'), h('dd', {}, who.roles.join(', ') || 'none'))));
}
