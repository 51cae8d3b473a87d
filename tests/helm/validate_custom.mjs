// Prints, for each resource of a JSON file, what the operators' definitions find wrong with it.
import { readFileSync } from "node:fs";
import { Certificate } from "@kubernetes-models/cert-manager/cert-manager.io/v1/Certificate";
import { PrometheusRule } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule";
import { ServiceMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor";

const models = { Certificate, PrometheusRule, ServiceMonitor };
const resources = JSON.parse(readFileSync(process.argv[2], "utf8"));
const results = resources.map((resource) => {
    try {
        new models[resource.kind](resource).validate();
        return [];
    } catch (error) {
        return [String(error.message)];
    }
});
console.log(JSON.stringify(results));
