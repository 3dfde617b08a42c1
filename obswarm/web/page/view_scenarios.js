// User classes: their users and iterations, and the ratios of their tasks.

import { format, h } from "./dom.js";
import { PolledView } from "./polled_view.js";
import { Table } from "./table.js";

export class ScenariosView extends PolledView {
  constructor(live) {
    super(live, "User classes", "/scenarios");
    const count = (id, title) => ({ id, title, value: (row) => row[id], text: (row) => format("count", row[id]) });
    this.table = new Table({
      label: "User classes",
      key: (row) => row.user_class,
      sort: ["user_class", false],
      empty: "No users yet.",
      columns: [
        {
          id: "user_class",
          title: "user class",
          isText: true,
          value: (row) => row.user_class,
          text: (row) => row.user_class,
        },
        count("users", "users"),
        {
          ...count("users_target", "target"),
          text: (row) => (row.iterations_per_s_target === null ? format("count", row.users_target) : "–"),
        },
        count("iterations", "iterations"),
        {
          id: "rate",
          title: "target rate",
          value: (row) => row.iterations_per_s_target,
          text: (row) => format("per_second", row.iterations_per_s_target),
        },
        { ...count("dropped", "not started"), tone: (row) => (row.dropped ? "bad" : "") },
      ],
    });
    this.tasks = new Table({
      label: "Tasks",
      key: (row) => `${row.user_class}\n${row.at}`,
      empty: "No tasks.",
      columns: [
        { id: "name", title: "task", isText: true, text: (row) => `${row.user_class}: ${row.name}` },
        { id: "ratio", title: "share of its user class", text: (row) => format("ratio", row.ratio) },
        { id: "tags", title: "tags", isText: true, text: (row) => row.tags.join(", ") || "–" },
      ],
    });
    this.element = h("div", {}, this.problem, this.table.element, h("h3", {}, "Tasks"), this.tasks.element);
  }

  async received({ scenarios }) {
    this.table.update(scenarios);
    try {
      const { user_classes: classes } = await this.live.loadtest();
      this.tasks.update(
        classes.flatMap(({ name, tasks }) => tasks.map((task, at) => ({ ...task, at, user_class: name }))),
      );
    } catch {
      /* The other table says what is wrong. */
    }
  }
}
