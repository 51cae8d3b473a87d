// Everybody with an account: who they are, what they may, whether they may come in, and a new password for whoever cannot;
// and whom somebody invited.
import { h, once, replace, say, table, when } from '../shell/dom.js';
import { del, get, key, may, patch, post, session, url } from '../shell/api.js';
import { choices, field, form } from '../shell/form.js';
import { all, ask, dialog, part } from '../shell/parts.js';
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

// As the user was when the list was read: of what changed meanwhile the server tells, and nothing is lost.
function change(user, roles, teams) {
  const named = teams.map((team) => [team.name, team.title || team.name]);
  dialog(`Roles and teams of ${user.title || user.name}`, (close) => form({
    submit: 'Save',
    send: async (values) => {
      await patch(`/v1/users/${key(user.id)}`, { roles: values.roles ?? [], teams: values.teams ?? [], owned_teams: values.owned_teams ?? [] }, { 'If-Match': `"${user.revision}"` });
      close();
      say('Changed.');
      await show();
    },
  },
  choices({ name: 'roles', label: 'Roles', options: roles.map((role) => [role.name, role.name]), chosen: user.roles ?? [] }),
  named.length > 0 && choices({ name: 'teams', label: 'In the teams', options: named, chosen: user.teams ?? [] }),
  named.length > 0 && choices({ name: 'owned_teams', label: 'Owns the teams', help: 'Owners decide who is in the team. They are in it themselves.', options: named, chosen: user.owned_teams ?? [] })));
}

function buttons(user, roles, teams) {
  const name = user.title || user.name;
  return h('div', { class: 'row' },
    may('users:write') && h('button', { type: 'button', 'aria-label': `Roles and teams of ${name}`, onclick: () => change(user, roles, teams) }, 'Roles and teams'),
    may('users:reset-password') && !user.disabled && h('button', { type: 'button', 'aria-label': `New password for ${name}`, onclick: () => reset(user) }, 'New password'),
    may('users:write') && user.name !== session.user.name && h('button', { type: 'button', class: user.disabled ? '' : 'bad', 'aria-label': `${user.disabled ? 'Enable' : 'Disable'} ${name}`, onclick: () => disable(user) }, user.disabled ? 'Enable' : 'Disable'));
}

function invite(roles, teams, again) {
  const place = h('div', {});
  return h('div', {}, place, form({
    submit: 'Make an invitation',
    send: async (values, element) => {
      const made = await post('/v1/invitations', Object.fromEntries(Object.entries(values).filter(([, value]) => value !== '')));
      element.reset();
      replace(place, once('The invitation works once. The link is shown this once: send it to whom you invite.', made.link ?? made.token));
      say('The invitation is made.');
      await again();
    },
  },
  h('div', { class: 'fields' },
    field({ name: 'role', label: 'Role', required: true, options: roles.map((role) => [role.name, role.name]), value: 'developer' }),
    field({ name: 'team', label: 'Team', options: [['', 'none'], ...teams.map((team) => [team.name, team.title || team.name])] }),
    field({ name: 'email', label: 'Email address', type: 'email', help: 'Of whoever may use it; empty: whoever has the link.' }))));
}

const whose = (invitation) => invitation.email || 'whoever has the link';

function takeBack(invitation, again) {
  ask('Take back the invitation?', `The link that was made for ${whose(invitation)} opens nothing any more.`, 'Take back', async () => {
    await del(`/v1/invitations/${key(invitation.id)}`);
    say('The invitation is taken back.');
    await again();
  });
}

function invited(items, again) {
  return table('Invitations', ['Address', 'Role', 'Team', 'Until', ''], items.map((invitation) => [
    whose(invitation), invitation.role, invitation.team || '–', when(invitation.expires_at),
    h('button', { type: 'button', class: 'bad', 'aria-label': `Take back the invitation of ${whose(invitation)}`, onclick: () => takeBack(invitation, again) }, 'Take back'),
  ]), 'Nobody is invited now.');
}

function invitations(roles, teams) {
  let reload = null;
  const list = part('Invited', async (again) => {
    reload = again;
    const items = await all('/v1/invitations');
    return invited(items.filter((invitation) => new Date(invitation.expires_at) > new Date()), again);
  });
  return [h('section', { class: 'card' }, h('h2', {}, 'Invite somebody'), invite(roles, teams, () => reload())), list];
}

export async function people({ query }) {
  const [page, roles, teams] = await Promise.all([get(url('/v1/users', { limit: PAGE, cursor: query.get('cursor') })), all('/v1/roles'), all('/v1/teams')]);
  return h('div', {}, h('h1', {}, 'People'), subMenu(),
    table('People', ['Name', 'Account', 'Address', 'Roles', 'Teams', ''], page.items.map((user) => [
      user.title || user.name, user.disabled ? `${user.name} (disabled)` : user.name, user.email || '–', (user.roles ?? []).join(', ') || '–', (user.teams ?? []).join(', ') || '–', buttons(user, roles, teams),
    ]), 'Nobody has an account yet.'),
    page.next && h('p', {}, h('a', { href: url('/operate/people', { cursor: page.next }) }, 'More people')),
    may('invitations:write') && invitations(roles, teams));
}
