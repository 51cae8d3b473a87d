// Everybody with an account: who they are, whether they may come in, and a new password for whoever cannot.
import { h, once, replace, say, table } from '../shell/dom.js';
import { get, key, may, patch, post, session, url } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { all, ask, dialog } from '../shell/parts.js';
import { show } from '../shell/router.js';
import { subMenu } from './operate.js';

const PAGE = 100;

function reset(user) {
  const name = user.title || user.name;
  ask('Make a link for a new password?', `The password of ${name} opens nothing from now on, and all their sessions end. They set another by the link.`, 'Make the link', async () => {
    const made = await post(`/v1/users/${key(user.id)}/reset-password`);
    dialog('A new password', () => once(`The link works once, within a day. It is shown this once: send it to ${name}, and to nobody else.`, made.link ?? made.token));
  });
}

function disable(user) {
  const name = user.title || user.name;
  const change = async (disabled) => {
    await patch(`/v1/users/${key(user.id)}`, { disabled }, { 'If-Match': `"${user.revision}"` });
    say(disabled ? `${name} is disabled.` : `${name} is enabled.`);
    await show();
  };
  if (user.disabled) ask('Enable the user?', `${name} can sign in again, with all that they had.`, 'Enable', () => change(false));
  else ask('Disable the user?', `${name} is signed out and cannot sign in, and their tokens are refused.`, 'Disable', () => change(true));
}

function buttons(user) {
  const name = user.title || user.name;
  return h('div', { class: 'row' },
    may('users:reset-password') && !user.disabled && h('button', { type: 'button', 'aria-label': `New password for ${name}`, onclick: () => reset(user) }, 'New password'),
    may('users:write') && user.name !== session.user.name && h('button', { type: 'button', class: user.disabled ? '' : 'bad', 'aria-label': `${user.disabled ? 'Enable' : 'Disable'} ${name}`, onclick: () => disable(user) }, user.disabled ? 'Enable' : 'Disable'));
}

function invite(roles, teams) {
  const place = h('div', {});
  return h('section', { class: 'card' }, h('h2', {}, 'Invite somebody'), place, form({
    submit: 'Make an invitation',
    send: async (values, element) => {
      const made = await post('/v1/invitations', Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '')));
      element.reset();
      replace(place, once('The invitation works once. The link is shown this once: send it to whom you invite.', made.link ?? made.token));
      say('The invitation is made.');
    },
  },
  h('div', { class: 'fields' },
    field({ name: 'role', label: 'Role', required: true, options: roles.map((role) => [role.name, role.name]), value: 'developer' }),
    field({ name: 'team', label: 'Team', options: [['', 'none'], ...teams.map((team) => [team.name, team.title || team.name])] }),
    field({ name: 'email', label: 'Email address', type: 'email', help: 'Of whoever may use it; empty: whoever has the link.' }))));
}

export async function people({ query }) {
  const [page, roles, teams] = await Promise.all([get(url('/v1/users', { limit: PAGE, cursor: query.get('cursor') })), all('/v1/roles'), all('/v1/teams')]);
  return h('div', {}, h('h1', {}, 'People'), subMenu(),
    table('People', ['Name', 'Account', 'Address', 'Roles', 'Teams', ''], page.items.map((user) => [
      user.title || user.name, user.disabled ? `${user.name} (disabled)` : user.name, user.email || '–', (user.roles ?? []).join(', ') || '–', (user.teams ?? []).join(', ') || '–', buttons(user),
    ]), 'Nobody has an account yet.'),
    page.next && h('p', {}, h('a', { href: url('/operate/people', { cursor: page.next }) }, 'More people')),
    may('invitations:write') && invite(roles, teams));
}
