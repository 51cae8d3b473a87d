// Subscribing an application to a plan.
import { h, notice } from '../shell/dom.js';
import { post, url } from '../shell/api.js';
import { field, form } from '../shell/form.js';
import { go } from '../shell/router.js';
import { ownApplications, pathOf, registration } from './applications.js';
import { load } from './catalog.js';

// The address names the event API by which somebody came: its deployments say which environments there are.
export async function subscribe({ params, query }) {
  const api = await load(query.get('api') ?? '');
  const product = api.products.find((item) => item.name === params.product);
  const plan = product?.plans.find((item) => item.name === params.plan);
  if (!plan) return h('div', {}, h('h1', {}, 'No such plan'), h('p', {}, 'The product or the plan is gone, or not for you.'));
  const applications = await ownApplications();
  const environments = [...new Set(api.deployments.map((deployment) => deployment.environment))].map((name) => [name, name]);
  const here = location.pathname + location.search;
  return h('div', { class: 'narrow' },
    h('h1', {}, `Subscribe to ${product.title || product.name}`),
    h('p', {}, `Plan ${plan.title || plan.name}: ${plan.operations.join(', ')}. `, plan.approval === 'auto' ? 'It is approved at once.' : 'The owners of the product approve it.'),
    environments.length === 0 && notice('', h('p', {}, 'It is not deployed anywhere yet.')),
    applications.length === 0
      ? [notice('', h('p', {}, 'A subscription is an application\'s. Register one first.')), registration(() => here)]
      : environments.length > 0 && h('div', { class: 'card' }, form({
        submit: 'Subscribe',
        send: async (values) => {
          const made = await post('/v1/subscriptions', { ...values, plan: `${product.name}.${plan.name}` });
          await go(url(pathOf(values.application), { subscribed: made.state }));
        },
      },
      field({ name: 'application', label: 'Application', required: true, options: applications }),
      field({ name: 'environment', label: 'Environment', required: true, options: environments }))));
}
