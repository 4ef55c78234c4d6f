// 100 virtual users on the agent's HTTP API: pages by filter and time, the next page, the status and the policies.
//
// URL, TOKEN and SECONDS (of the ramp, and as long again at its top) come from the environment.

import http from 'k6/http';
import { check } from 'k6';

const seconds = Number(__ENV.SECONDS || 10);
const parameters = { headers: { Authorization: `Bearer ${__ENV.TOKEN}` } };

export const options = {
  stages: [
    { duration: `${seconds}s`, target: 100 },
    { duration: `${seconds}s`, target: 100 },
  ],
  thresholds: {
    http_req_duration: ['p(95)<500'],
    http_req_failed: ['rate<0.01'],
    checks: ['rate==1'],
  },
};

function get(path, query) {
  const pairs = Object.entries(query || {}).map(([name, value]) => `${name}=${encodeURIComponent(value)}`);
  return http.get(`${__ENV.URL}${path}${pairs.length ? '?' : ''}${pairs.join('&')}`, parameters);
}

// What is not answered is counted by http_req_failed; checks look at what is.
function answered(answer, looks) {
  return answer.status !== 200 || looks(answer);
}

export default function () {
  const page = get('/api/v1/events', { since: '1m', limit: 20 });
  check(page, { 'a page has records': (page) => answered(page, (page) => page.json('records').length > 0) });
  const next = page.status === 200 ? page.json('next') : null;
  if (next) {
    const following = get('/api/v1/events', { since: '1m', limit: 20, cursor: next });
    check(following, {
      'the next page goes on': (following) =>
        answered(following, (following) => following.json('next') === null || following.json('next') > next),
    });
  }
  const found = get('/api/v1/events', { filter: 'type = process and action = exec', since: '10s', limit: 10 });
  check(found, {
    'what is found meets the filter': (found) =>
      answered(found, (found) => found.json('records').every((record) => record.action === 'exec')),
  });
  const status = get('/api/v1/status');
  check(status, {
    'the ledger is in order': (status) => answered(status, (status) => status.json('ledger.health') === 'good'),
  });
  const policies = get('/api/v1/policies');
  check(policies, {
    'policies are told': (policies) => answered(policies, (policies) => Array.isArray(policies.json('policies'))),
  });
}
