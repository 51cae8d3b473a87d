import { h, notice, once, replace, say, table, when } from '../shell/dom.js';
import { del, get, key, post, put, request, session, setSession } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { part } from '../shell/parts.js';
import { go } from '../shell/router.js';

function facts() {
  const who = session.user;
  return h('section', { class: 'card' },
    h('h2', {}, 'You'),
    h('dl', { class: 'facts' },
      h('dt', {}, 'Account'), h('dd', {}, who.name),
      h('dt', {}, 'Email'), h('dd', {}, who.email || '–'),
      h('dt', {}, 'Teams'), h('dd', {}, who.teams.map((team) => (team.title || team.name) + (team.owner ? ' (owner)' : '')).join(', ') || 'none'),
      h('dt', {}, 'Roles'), h('dd', {}, who.roles.join(', ') || 'none')),
    form({
      submit: 'Save',
      kind: '',
      send: async (values) => {
        setSession(await request('PATCH', '/auth/profile', { title: values.title || null }));
        say('Saved.');
      },
    }, field({ name: 'title', label: 'Your name', value: who.title ?? '', autocomplete: 'name', help: 'As others see you.' })),
    h('p', {}, h('button', {
      type: 'button',
      onclick: async () => {
        await post('/auth/sign-out');
        setSession(await get('/auth/session'));
        await go('/sign-in');
      },
    }, 'Sign out')));
}

function agent(text) {
  const browser = /(Firefox|Edg|OPR|Chrome|Safari)\/[\d.]+/.exec(text ?? '');
  const system = /(Windows|Mac OS X|Android|iPhone|Linux)/.exec(text ?? '');
  return browser && system ? `${browser[1]} on ${system[1]}` : text || 'unknown';
}

async function sessions(again) {
  const { items } = await get('/auth/sessions');
  const end = async (path, said) => {
    await del(path);
    say(said);
    await again();
  };
  return h('div', {},
    table('Your sessions', ['Where', 'Address', 'Signed in', 'Last used', ''], items.map((item) => [
      agent(item.agent), item.address || '–', when(item.created_at), when(item.used_at),
      item.current
        ? h('span', { class: 'tag good' }, 'this one')
        : h('button', { type: 'button', 'aria-label': `End the session of ${agent(item.agent)}`, onclick: () => end(`/auth/sessions/${key(item.id)}`, 'The session has ended.') }, 'End'),
    ])),
    items.length > 1 && h('p', {}, h('button', { type: 'button', onclick: () => end('/auth/sessions', 'All other sessions have ended.') }, 'End all others')));
}

function password() {
  const done = h('div', {});
  return h('section', { class: 'card' },
    h('h2', {}, 'Password'), done,
    form({
      submit: 'Change password',
      send: async (values, element) => {
        setSession(await put('/auth/password', values));
        element.reset();
        replace(done, notice('good', h('p', {}, 'The password is changed. All your other sessions have ended.')));
        say('The password is changed.');
      },
    },
    field({ name: 'current', label: 'Current password', type: 'password', autocomplete: 'current-password', required: true }),
    field({ name: 'password', label: 'New password', type: 'password', autocomplete: 'new-password', required: true, help: `At least ${session.password_min} characters.` })));
}

function newToken(again, shown) {
  const soon = new Date(Date.now() + 90 * 86400000).toISOString().slice(0, 10);
  return form({
    submit: 'Make a token',
    send: async (values, element) => {
      const made = await post('/auth/tokens', {
        name: values.name,
        scopes: values.scopes.split(/[\s,]+/).filter(Boolean),
        ...(values.expires_at ? { expires_at: `${values.expires_at}T00:00:00Z` } : {}),
      });
      element.reset();
      replace(shown, once(`The token ${made.name}. It is shown this once: keep it where secrets are kept.`, made.token));
      say('The token was made.');
      await again();
    },
  },
  field({ name: 'name', label: 'What it is for', required: true, maxlength: 100 }),
  field({ name: 'scopes', label: 'Scopes', required: true, value: 'event-apis:read', help: 'What it may do, such as event-apis:read or subscriptions:*. Never more than you may yourself.' }),
  field({ name: 'expires_at', label: 'Ends on', type: 'date', value: soon, help: 'Empty: never.' }));
}

function tokens() {
  const shown = h('div', {});
  const list = part('API tokens', async (again) => {
    const { items } = await get('/auth/tokens?limit=1000');
    return h('div', {}, shown,
      table('Your API tokens', ['Name', 'Scopes', 'Made', 'Last used', 'Ends', ''], items.map((item) => [
        item.name, h('span', { class: 'mono small' }, item.scopes.join(' ')), when(item.created_at), when(item.last_used_at), item.expires_at ? when(item.expires_at) : 'never',
        h('button', {
          type: 'button',
          class: 'bad',
          'aria-label': `Delete the token ${item.name}`,
          onclick: async () => {
            await del(`/auth/tokens/${key(item.id)}`);
            say('The token is deleted.');
            await again();
          },
        }, 'Delete'),
      ]), 'You have no API tokens.'),
      h('h3', {}, 'New token'), newToken(again, shown));
  });
  return list;
}

export function profile() {
  return h('div', {}, h('h1', {}, 'Profile'), facts(), part('Sessions', sessions), password(), tokens());
}
