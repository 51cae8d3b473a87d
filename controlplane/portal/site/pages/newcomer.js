import { h, notice, when } from '../shell/dom.js';
import { post, session, setSession } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { go } from '../shell/router.js';
import { providers } from './sign-in.js';

function accountFields(email) {
  return [
    field({ name: 'name', label: 'Account name', autocomplete: 'username', required: true, autocapitalize: 'none', spellcheck: 'false', help: 'Small letters, digits and dashes. It cannot change later.' }),
    field({ name: 'title', label: 'Your name', autocomplete: 'name', help: 'As others see you.' }),
    email,
    field({ name: 'password', label: 'Password', type: 'password', autocomplete: 'new-password', required: true, help: `At least ${session.password_min} characters. A few words that you remember are best.` }),
  ];
}

function emailField(required) {
  return field({ name: 'email', label: 'Email address', type: 'email', autocomplete: 'email', required });
}

const filled = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));

// The token is behind the #: it reaches the server in a body alone.
export async function invitation() {
  const token = location.hash.slice(1);
  if (session.signed_in) return h('div', {}, h('h1', {}, 'Invitation'), notice('', h('p', {}, `You are signed in as ${session.user.name}. Sign out to use an invitation for another account.`)));
  const invited = await post('/auth/invitation', { token });
  return h('div', { class: 'narrow' },
    h('h1', {}, 'You are invited'),
    h('p', {}, `Make your account${invited.team ? ` in the team ${invited.team}` : ''} with the role ${invited.role}. The link works once, until `, when(invited.expires_at), '.'),
    h('div', { class: 'card' },
      form({
        submit: 'Make my account',
        send: async (values) => {
          setSession(await post('/auth/invitation/accept', { ...filled(values), token }));
          await go('/', true);
        },
      }, ...accountFields(invited.email ? h('p', {}, 'Email address: ', h('strong', {}, invited.email)) : emailField(false)))),
    providers('/', token));
}

export function signUp() {
  if (session.sign_up !== 'open') return h('div', {}, h('h1', {}, 'Make an account'), notice('', h('p', {}, 'Accounts are not open to everybody here: ask for an invitation.')));
  return h('div', { class: 'narrow' },
    h('h1', {}, 'Make an account'),
    h('div', { class: 'card' },
      form({
        submit: 'Make my account',
        send: async (values) => {
          setSession(await post('/auth/sign-up', filled(values)));
          await go('/', true);
        },
      }, ...accountFields(emailField(true)))));
}

// Works also while somebody else is signed in here: their session ends then.
export async function resetPassword() {
  const token = location.hash.slice(1);
  const found = await post('/auth/reset', { token });
  return h('div', { class: 'narrow' },
    h('h1', {}, 'A new password'),
    h('p', {}, 'For the account ', h('strong', {}, found.name), '. The link works once, until ', when(found.expires_at), '.'),
    h('div', { class: 'card' },
      form({
        submit: 'Set the password',
        send: async (values) => {
          setSession(await post('/auth/reset/accept', { token, password: values.password }));
          await go('/', true);
        },
      },
      h('input', { type: 'text', value: found.name, autocomplete: 'username', hidden: true, readonly: true }),
      field({ name: 'password', label: 'New password', type: 'password', autocomplete: 'new-password', required: true, help: `At least ${session.password_min} characters. A few words that you remember are best.` }))));
}
