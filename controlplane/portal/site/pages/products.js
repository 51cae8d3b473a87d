// The products that bundle an event API, and their plans: without one nobody can subscribe to it.
import { h, say, table } from '../shell/dom.js';
import { del, key, may, post } from '../shell/api.js';
import { choices, field, form } from '../shell/form.js';
import { tag } from '../shell/parts.js';
import { show } from '../shell/router.js';
import { OPERATIONS } from './publish.js';

function planFields(api, name) {
  return {
    plan: field({ name: 'plan', label: 'Name of the plan', required: true, value: name, autocapitalize: 'none', spellcheck: 'false' }),
    approval: field({ name: 'approval', label: 'Subscriptions are approved', required: true, options: [['manual', 'by you'], ['auto', 'at once']] }),
    operations: choices({ name: 'plan_operations', label: 'What the plan allows', options: OPERATIONS.filter(([operation]) => api.operations.includes(operation)), chosen: api.operations }),
  };
}

const makePlan = (product, values) => post('/v1/plans', { product, name: values.plan, operations: values.plan_operations ?? [], approval: values.approval });

// All or nothing: a product without its plan would be in the way of the next try.
async function makeProduct(api, values) {
  await post('/v1/products', { name: values.product, team: api.team, visibility: values.visibility, lifecycle: 'published', event_apis: [`${api.name}.v${api.major}`], ...(values.product_title ? { title: values.product_title } : {}) });
  try {
    await makePlan(values.product, values);
  } catch (problem) {
    await del(`/v1/products/${key(values.product)}`).catch(() => {});
    problem.errors = problem.errors.map((error) => (error.pointer === '/name' ? { ...error, pointer: '/plan' } : error));
    throw problem;
  }
}

function newProduct(api) {
  const plan = planFields(api, 'standard');
  return form({
    submit: 'Make the product',
    kind: '',
    send: async (values) => {
      await makeProduct(api, values);
      say('The product is made.');
      await show();
    },
  },
  h('div', { class: 'fields' },
    field({ name: 'product', label: 'Name of the product', required: true, value: api.name, autocapitalize: 'none', spellcheck: 'false' }),
    field({ name: 'product_title', label: 'Title of the product' }),
    field({ name: 'visibility', label: 'Who sees it', required: true, options: [['signed-in', 'everybody who signed in'], ['teams', 'your team'], ['public', 'everybody']] }),
    plan.plan, plan.approval), plan.operations);
}

function newPlan(api) {
  const plan = planFields(api, '');
  return form({
    submit: 'Make the plan',
    kind: '',
    send: async (values) => {
      await makePlan(values.product, values);
      say('The plan is made.');
      await show();
    },
  },
  h('div', { class: 'fields' },
    field({ name: 'product', label: 'Product', required: true, options: api.products.map((product) => [product.name, product.title || product.name]) }),
    plan.plan, plan.approval), plan.operations);
}

// A product of its own, with a first plan, and more plans later. What already bundles it is listed.
export function products(api) {
  const list = table('Products', ['Product', 'State', 'Plans'], api.products.map((product) => [
    product.title || product.name, tag(product.lifecycle), product.plans.map((plan) => `${plan.name} (${plan.approval === 'auto' ? 'at once' : 'asks you'})`).join(', ') || 'none',
  ]), 'It is in no product.');
  return h('section', { class: 'card' }, h('h2', {}, 'Products'), list,
    may('plans:write') && may('products:write') && h('details', {}, h('summary', {}, 'New product'), newProduct(api)),
    may('plans:write') && api.products.length > 0 && h('details', {}, h('summary', {}, 'New plan'), newPlan(api)));
}
