// Who is in one's teams; their owners take people in and invite others.
import { h, once, replace, say, table, when } from '../shell/dom.js';
import { del, get, key, may, post, session, url } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { ask, part } from '../shell/parts.js';

const ROLES = [['developer', 'developer: uses event APIs'], ['api-owner', 'API owner: publishes event APIs'], ['viewer', 'viewer: looks around']];

function invite(team, again, place) {
  return form({
    submit: 'Make an invitation',
    send: async (values, element) => {
      const made = await post('/v1/invitations', { team: team.name, role: values.role, ...(values.email ? { email: values.email } : {}) });
      element.reset();
      replace(place, once(`The invitation works once, until ${new Date(made.expires_at).toLocaleDateString()}. The link is shown this once: send it to whom you invite.`, made.link));
      say('The invitation is made.');
      await again();
    },
  },
  h('div', { class: 'fields' },
    field({ name: 'role', label: 'Role', required: true, options: ROLES }),
    field({ name: 'email', label: 'Email address', type: 'email', help: 'Of whoever may use it; empty: whoever has the link.' })));
}

function buttons(team, member, again) {
  const name = member.title || member.name;
  const path = `/v1/teams/${key(team.name)}`;
  return h('div', { class: 'row' },
    h('button', {
      type: 'button',
      'aria-label': member.owner ? `No owner: ${name}` : `Make owner: ${name}`,
      onclick: async () => {
        await post(`${path}/add-member`, { user: member.id, owner: !member.owner });
        say('Changed.');
        await again();
      },
    }, member.owner ? 'No owner' : 'Make owner'),
    h('button', {
      type: 'button',
      class: 'bad',
      'aria-label': `Put out: ${name}`,
      onclick: () => ask('Put somebody out of the team?', `${name} has no part in what belongs to ${team.title || team.name} any more.`, 'Put out', async () => {
        await post(`${path}/remove-member`, { user: member.id });
        say(`${name} is out of the team.`);
        await again();
      }),
    }, 'Put out'));
}

function members(team) {
  const place = h('div', {});
  const owner = (team.owner && may('teams:members')) || may('all-teams:write');
  return part(team.title || team.name, async (again) => {
    const found = await get(url(`/v1/teams/${key(team.name)}/members`, { limit: 1000 }));
    return h('div', {},
      table(`Members of ${team.name}`, ['Name', 'Account', 'Part', ''], found.items.map((member) => [
        member.title || member.name, member.name, member.disabled ? 'disabled' : member.owner ? 'owner' : 'member', owner && member.name !== session.user.name && buttons(team, member, again),
      ])),
      found.invitations.length > 0 && [h('h3', {}, 'Invited'), table(`Invited into ${team.name}`, ['Address', 'Role', 'Until', ''], found.invitations.map((invitation) => [
        invitation.email || 'whoever has the link', invitation.role, when(invitation.expires_at),
        owner && may('invitations:write') && h('button', {
          type: 'button',
          class: 'bad',
          'aria-label': `Take back the invitation of ${invitation.email || 'whoever has the link'}`,
          onclick: async () => {
            await del(`/v1/invitations/${key(invitation.id)}`);
            say('The invitation is taken back.');
            await again();
          },
        }, 'Take back'),
      ]))],
      owner && may('invitations:write') && [h('h3', {}, 'Invite somebody'), place, invite(team, again, place)]);
  });
}

export function teams() {
  return h('div', {}, h('h1', {}, 'Teams'),
    session.user.teams.length === 0 ? h('p', { class: 'quiet' }, 'You are in no team: ask the owner of one to take you in.') : session.user.teams.map(members));
}
