/**
 * What of the RabbitMQ Cluster Operator's `RabbitmqCluster` (rabbitmq.com/v1beta1) the manifests use, in TypeScript: no
 * package on npm has its schema. Of the StatefulSet that the operator makes, any part may be overridden.
 */
export const RABBITMQ_CLUSTER = `
import { type IStatefulSet, StatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import type { IObjectMeta } from "@kubernetes-models/apimachinery/apis/meta/v1/ObjectMeta";
type Resources = Record<"requests" | "limits", { cpu: string; memory: string }>;
interface IRabbitmqCluster {
  apiVersion: "rabbitmq.com/v1beta1";
  kind: "RabbitmqCluster";
  metadata: IObjectMeta;
  spec: {
    replicas: number;
    image: string;
    persistence: { storage: string; storageClassName?: string };
    resources: Resources;
    terminationGracePeriodSeconds: number;
    rabbitmq: { additionalConfig?: string; advancedConfig?: string; additionalPlugins?: string[] };
    override: { statefulSet: { spec: Override<NonNullable<IStatefulSet["spec"]>> } };
  };
}
type Override<T extends { template: unknown }> = Partial<Omit<T, "template">> & Pick<T, "template">;
class RabbitmqCluster {
  statefulSet: StatefulSet;
  constructor({ spec, metadata }: IRabbitmqCluster) {
    const required = { selector: {}, serviceName: "rabbitmq" };
    this.statefulSet = new StatefulSet({ metadata, spec: { ...required, ...spec.override.statefulSet.spec } });
  }
  validate(): void { this.statefulSet.validate(); }
}
`;
