// Forms: labelled fields, errors beside the field they belong to, and nothing sent twice.
import { h, notice, replace } from './dom.js';
import { Problem } from './api.js';

let numbers = 0;

// field({name, label, help, type, value, required, autocomplete, ...}): more attributes go to the input. `options`
// makes it a select: [value, text] pairs. `rows` makes it a textarea.
export function field({ name, label, help, options, rows, type = 'text', ...rest }) {
  const id = `f${++numbers}`;
  const about = [help && `${id}-help`, `${id}-wrong`].filter(Boolean).join(' ');
  const common = { id, name, 'aria-describedby': about, ...rest };
  let input;
  if (options) input = h('select', common, options.map(([value, text]) => h('option', { value, selected: value === rest.value }, text)));
  else if (rows) input = h('textarea', { ...common, rows });
  else input = h('input', { ...common, type });
  return h('div', { class: 'field' },
    h('label', { for: id }, label, rest.required ? null : h('span', { class: 'quiet small' }, ' (optional)')),
    input, help && h('p', { class: 'help', id: `${id}-help` }, help), h('p', { class: 'wrong', id: `${id}-wrong` }));
}

// Several of a list: its value is the list of what is chosen. `options` are [value, text] pairs.
export function choices({ name, label, help, options, chosen = [] }) {
  return h('fieldset', {}, h('legend', {}, label), help && h('p', { class: 'quiet small' }, help),
    options.map(([value, text]) => h('label', { class: 'check' }, h('input', { type: 'checkbox', name, value, checked: chosen.includes(value) }), text)));
}

function mark(form, name, text) {
  const input = form.elements[name];
  if (!input?.id) return false;
  if (text) input.setAttribute('aria-invalid', 'true');
  else input.removeAttribute('aria-invalid');
  document.getElementById(`${input.id}-wrong`).textContent = text;
  return true;
}

function clear(form) {
  for (const input of form.elements) if (input.name && input.id) mark(form, input.name, '');
}

// What the server says is wrong goes beside the fields; what belongs to none is at the top.
function explain(form, top, problem) {
  let first = null;
  const rest = [];
  for (const { pointer = '', detail } of problem.errors ?? []) {
    const name = pointer.split('/')[1];
    if (name && mark(form, name, detail)) first ??= form.elements[name];
    else rest.push(pointer ? `${pointer}: ${detail}` : detail);
  }
  if (first === null || rest.length > 0) replace(top, notice('bad', (rest.length > 0 ? rest : [problem.message]).map((text) => h('p', {}, text))));
  (first ?? top).focus();
}

export function values(form) {
  const out = {};
  for (const input of form.elements) {
    if (!input.name || input.disabled) continue;
    if (input.type === 'checkbox') {
      if (input.closest('fieldset')) (out[input.name] ??= []).push(...(input.checked ? [input.value] : []));
      else out[input.name] = input.checked;
    } else if (input.type !== 'radio' || input.checked) {
      out[input.name] = input.value;
    }
  }
  return out;
}

// form({submit: 'Sign in', send: async (values) => ...}, ...fields)
export function form({ submit, send, kind = 'main', role = null }, ...fields) {
  const top = h('div', { tabindex: '-1' });
  const button = h('button', { class: kind }, submit);
  const element = h('form', {
    novalidate: true,
    role,
    onsubmit: async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      clear(element);
      replace(top);
      button.disabled = true;
      try {
        await send(values(element), element);
      } catch (problem) {
        if (!(problem instanceof Problem)) console.error(problem);
        explain(element, top, problem);
      } finally {
        button.disabled = false;
      }
    },
  }, top, fields, h('p', {}, button));
  return element;
}
