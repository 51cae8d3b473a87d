// Rules for event APIs as administrators write them, tried on everything before they hold.
import { add, h, notice, replace, say, table } from '../shell/dom.js';
import { del, get, key, may, patch, post, url } from '../shell/api.js';
import { choices, field, form, values as valuesOf } from '../shell/form.js';
import { all, ask } from '../shell/parts.js';
import { go, leaving, show } from '../shell/router.js';
import { pathOf } from './catalog.js';
import { subMenu } from './operate.js';

const LEVELS = ['bronze', 'silver', 'gold'];
const LIFECYCLES = ['draft', 'published', 'deprecated', 'retired'];
const SHOWN = 200;
const PAGE = 500;
const TEMPLATES = [
  ['Has documentation', 'size(api.description) >= 200', 'Describe the events in 200 characters at least.'],
  ['Has a schema', "api.schema != 'none'", 'Attach a schema.'],
  ['Has an example', 'size(api.examples) > 0', 'Add an example.'],
  ['Has a plan', 'size(api.plans) > 0', 'Put it in a product with a plan.'],
  ['Somebody owns the team', 'team.owners > 0', 'Name an owner of the team.'],
  ['Says when it ends', "api.lifecycle != 'deprecated' || has(api.sunset_at)", 'Say when the deprecated event API ends.'],
];
const words = (text) => text.split(/[\s,]+/).filter(Boolean);
const orNull = (list) => (list && list.length > 0 ? list : null);

function about(rule) {
  const parts = [['tags', rule.tags], ['teams', rule.teams], ['states', rule.lifecycles], ['environments', rule.environments]];
  return parts.filter(([, list]) => (list ?? []).length > 0).map(([name, list]) => `${name}: ${list.join(', ')}`).join('; ') || 'all';
}

function remove(rule) {
  ask(`Delete the rule ${rule.name}?`, 'It is no part of any scorecard any more, and blocks nothing.', 'Delete', async () => {
    await del(`/v1/scorecard-rules/${key(rule.name)}`);
    say('It is deleted.');
    await show();
  });
}

export async function scorecardRules() {
  const rules = await all('/v1/scorecard-rules');
  const write = may('scorecard-rules:write');
  return h('div', {}, h('div', { class: 'row apart' }, h('h1', {}, 'Scorecards'), write && h('a', { class: 'button main', href: '/operate/scorecards/new' }, 'New rule')), subMenu(),
    h('p', {}, 'What event APIs should be like. A rule that blocks must be met before one is published.'),
    table('Rules', ['Rule', 'Level', 'Points', 'Blocks', 'In force', 'About', ''], rules.map((rule) => [
      [rule.title || rule.name, h('br', {}), h('code', {}, rule.condition)], rule.level, String(rule.points), rule.blocking ? 'publishing' : '–', rule.enabled ? 'yes' : 'no', about(rule),
      write && h('div', { class: 'row' }, h('a', { class: 'button', href: `/operate/scorecards/rules/${key(rule.name)}`, 'aria-label': `Change ${rule.name}` }, 'Change'),
        h('button', { type: 'button', class: 'bad', 'aria-label': `Delete ${rule.name}`, onclick: () => remove(rule) }, 'Delete')),
    ]), 'There are no rules: nothing is asked of event APIs.'));
}

// As the API wants it; null is what is not said.
function bodyOf(values) {
  return {
    name: values.name, title: values.title || null, condition: values.condition, hint: values.hint, level: values.level, points: Number(values.points),
    blocking: values.blocking, enabled: values.enabled, tags: orNull(words(values.tags)), teams: orNull(values.teams), lifecycles: orNull(values.lifecycles), environments: orNull(words(values.environments)),
  };
}

const withoutNulls = (body) => Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));

function found(item) {
  return [h('a', { href: pathOf(item.key) }, item.title || item.key), item.team, item.lifecycle, item.blocked ? 'yes' : '–', item.detail ?? '–'];
}

// A page of event APIs after the other, until all were looked at or somebody goes away.
async function tryRule(rule, place) {
  let gone = false;
  let cursor = null;
  const sum = { checked: 0, applies: 0, failing: 0, blocked: 0, items: [] };
  leaving(() => { gone = true; });
  do {
    const page = await post(url('/v1/scorecards/preview', { limit: PAGE, cursor }), rule);
    if (gone) return;
    sum.checked += page.checked;
    sum.applies += page.applies;
    sum.failing += page.items.length;
    sum.blocked += page.items.filter((item) => item.blocked).length;
    sum.items.push(...page.items.slice(0, SHOWN - sum.items.length));
    cursor = page.next;
    replace(place, h('p', { role: 'status' }, `${sum.checked.toLocaleString()} event APIs were looked at${cursor ? '…' : '.'} The rule is about ${sum.applies.toLocaleString()}; ${sum.failing.toLocaleString()} do not meet it; ${sum.blocked.toLocaleString()} drafts could not be published.`));
  } while (cursor);
  add(place, table('What does not meet the rule', ['Event API', 'Team', 'State', 'Could not be published', 'Why it cannot be evaluated'], sum.items.map(found), 'Everything meets it.'),
    sum.failing > sum.items.length && h('p', { class: 'quiet' }, `The first ${SHOWN} are shown.`));
}

function check(name, label, checked) {
  return h('p', {}, h('label', { class: 'check' }, h('input', { type: 'checkbox', name, checked }), label));
}

function templates() {
  return field({
    name: 'template', label: 'Begin with', options: [['', 'nothing'], ...TEMPLATES.map(([title], i) => [String(i), title])],
    onchange: ({ target }) => {
      const [title, condition, hint] = TEMPLATES[target.value] ?? ['', '', ''];
      Object.assign(target.form.elements.title, { value: title });
      Object.assign(target.form.elements.condition, { value: condition });
      Object.assign(target.form.elements.hint, { value: hint });
    },
  });
}

function fields(rule, teams) {
  return [
    h('div', { class: 'fields' },
      !rule && templates(),
      field({ name: 'name', label: 'Name', required: true, value: rule?.name ?? '', readonly: Boolean(rule), autocapitalize: 'none', spellcheck: 'false' }),
      field({ name: 'title', label: 'Title', value: rule?.title ?? '', maxlength: 200 })),
    field({ name: 'condition', label: 'Condition (CEL)', required: true, rows: 3, value: rule?.condition ?? '', maxlength: 1000, spellcheck: 'false', help: 'Met when it is true. About api.title, api.description, api.changelog, api.lifecycle, api.tags, api.labels, api.schema, api.examples, api.environments, api.plans, api.policies, api.sunset_at, team.owners, now and more.' }),
    field({ name: 'hint', label: 'What owners have to do', required: true, value: rule?.hint ?? '', maxlength: 200 }),
    h('div', { class: 'fields' },
      field({ name: 'level', label: 'Level', required: true, options: LEVELS.map((level) => [level, level]), value: rule?.level ?? 'bronze' }),
      field({ name: 'points', label: 'Points', type: 'number', min: 0, max: 1000, required: true, value: String(rule?.points ?? 1) })),
    check('blocking', 'Must be met before something is published', rule?.blocking ?? false),
    check('enabled', 'In force', rule?.enabled ?? true),
    h('details', { open: Boolean(rule) && about(rule) !== 'all' }, h('summary', {}, 'Only about some'),
      h('div', { class: 'fields' },
        field({ name: 'tags', label: 'With one of these tags', value: (rule?.tags ?? []).join(' '), help: 'With spaces between.' }),
        field({ name: 'environments', label: 'Deployed in one of these environments', value: (rule?.environments ?? []).join(' ') })),
      choices({ name: 'lifecycles', label: 'In one of these states', options: LIFECYCLES.map((state) => [state, state]), chosen: rule?.lifecycles ?? [] }),
      teams.length > 0 && choices({ name: 'teams', label: 'Of one of these teams', options: teams.map((team) => [team.name, team.title || team.name]), chosen: rule?.teams ?? [] })),
  ];
}

function editor(rule, teams) {
  const place = h('div', {});
  const trial = h('button', {
    type: 'button',
    onclick: async () => {
      trial.disabled = true;
      replace(place, h('p', { role: 'status' }, 'Looking…'));
      try {
        await tryRule(withoutNulls(bodyOf(valuesOf(trial.form))), place);
      } catch (problem) {
        replace(place, notice('bad', problem.errors?.length ? problem.errors.map((error) => h('p', {}, `${error.pointer ?? ''} ${error.detail}`)) : h('p', {}, problem.message)));
      }
      trial.disabled = false;
    },
  }, 'Try it on all event APIs');
  return h('div', {}, h('div', { class: 'card' }, form({
    submit: rule ? 'Save' : 'Make the rule',
    send: async (values) => {
      const body = bodyOf(values);
      if (rule) await patch(`/v1/scorecard-rules/${key(rule.name)}`, body, { 'If-Match': `"${rule.revision}"` });
      else await post('/v1/scorecard-rules', withoutNulls(body));
      await go('/operate/scorecards');
      say('The rule is saved.');
    },
  }, fields(rule, teams), h('p', {}, trial))), h('section', { class: 'card', 'aria-label': 'What the rule comes to' }, h('p', { class: 'quiet' }, 'Trying changes nothing.'), place));
}

export async function scorecardRule({ params }) {
  const [rule, teams] = await Promise.all([params.name ? get(`/v1/scorecard-rules/${key(params.name)}`) : null, all('/v1/teams')]);
  return h('div', {}, h('h1', {}, rule ? `Rule ${rule.title || rule.name}` : 'New rule'), subMenu(), editor(rule, teams));
}
