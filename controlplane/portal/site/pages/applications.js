// Applications of one's teams, and a form to register one.
import { h, notice } from '../shell/dom.js';
import { key, may, post, session } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all, pages, part } from '../shell/parts.js';
import { go } from '../shell/router.js';

export const pathOf = (name) => `/applications/${key(name)}`;
export const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
export const teamOptions = () => session.user.teams.map((team) => [team.name, team.title || team.name]);

// Of all one's teams, as options of a field.
export async function ownApplications() {
  const lists = await Promise.all(session.user.teams.map((team) => all('/v1/applications', { team: team.name })));
  return lists.flat().map((application) => [application.name, application.title ? `${application.title} (${application.name})` : application.name]);
}

function entry(application) {
  return h('div', { class: 'entry' },
    h('a', { href: pathOf(application.name) }, application.title || application.name), ' ', h('span', { class: 'quiet' }, application.name),
    application.description && h('p', { class: 'summary' }, application.description));
}

export function registration(to = pathOf) {
  if (!may('applications:write')) return null;
  if (session.user.teams.length === 0) return notice('', h('p', {}, 'Applications belong to teams, and you are in none yet: ask the owner of your team.'));
  return h('section', { class: 'card' }, h('h2', {}, 'Register an application'),
    form({
      submit: 'Register',
      send: async (values) => go(to((await post('/v1/applications', filled(values))).name)),
    },
    field({ name: 'name', label: 'Name', required: true, autocapitalize: 'none', spellcheck: 'false', help: 'Small letters, digits and dashes.' }),
    field({ name: 'title', label: 'Title' }),
    field({ name: 'team', label: 'Team', required: true, options: teamOptions() }),
    field({ name: 'description', label: 'What it does', rows: 3 })));
}

export function applications() {
  return h('div', {}, h('h1', {}, 'Applications'),
    session.user.teams.map((team) => part(team.title || team.name, () => pages('/v1/applications', { team: team.name, limit: 50 }, entry, 'This team has no applications yet.'))),
    registration());
}
