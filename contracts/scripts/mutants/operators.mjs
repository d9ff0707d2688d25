// The small faults: for each node of a syntax tree what could stand there instead.
// Each is told twice: as the text of the whole file, and, where the language allows it, as insertions that make the fault
// at run time (`schema.mjs`), so that one compilation holds them all.

const BINARY = {
  "<": ["<=", ">"],
  "<=": ["<", ">"],
  ">": [">=", "<"],
  ">=": [">", "<"],
  "==": ["!="],
  "!=": ["=="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "&&": ["||"],
  "||": ["&&"],
  "&": ["|"],
  "|": ["&"],
  "<<": [">>"],
  "|=": ["=", "&="],
  "+=": ["=", "-="],
  "-=": ["=", "+="],
};

/** Functions of the EVM, and another of as many arguments; an empty one leaves its only argument. */
const YUL = {
  add: "sub",
  sub: "add",
  mul: "div",
  lt: "gt",
  gt: "lt",
  eq: "lt",
  and: "or",
  or: "and",
  shr: "shl",
  iszero: "",
  not: "",
};

const STATEMENTS = ["ExpressionStatement", "EmitStatement", "RevertStatement", "Return"];
const YUL_STATEMENTS = ["YulExpressionStatement", "YulAssignment"];

/** Whether a comparison differs only where both sides are equal. */
const isNearby = (operator) => (other) => operator[0] === other[0] && operator.length !== other.length;

/** Around a choice of numbers that is meant as bytes. */
function conversionTo(type) {
  const [, size] = type.match(/^bytes(\d+)$/) ?? [];
  return size ? [`bytes${size}(uint${8 * size}`, ")"] : undefined;
}

/** The bytes of a node in its file. */
export function rangeOf(node) {
  const [start, length] = node.src.split(":").map(Number);
  return [start, start + length];
}

/**
 * The mutants of a file: `id` says where and what, `text` is the whole file, `around` what to put before and after a
 * range to switch between what is there and the fault; `@` stands for "this is the mutant".
 */
export function mutantsOf(path, source, ast) {
  const text = Buffer.from(source);
  const mutants = [];
  const part = (start, end) => text.subarray(start, end).toString();
  const code = (node) => part(...rangeOf(node));
  const brief = (code) => code.replace(/\s+/g, " ").trim();

  const replace = (start, end, replacement, around) => {
    const [from, to] = [text.lastIndexOf("\n", start - 1) + 1, text.indexOf("\n", end)];
    const line = part(0, from).split("\n").length;
    const instead = part(from, start) + replacement + part(end, to);
    mutants.push({
      id: `${path.split("/").pop()}:${line} ${brief(part(from, to))}  =>  ${brief(instead)}`,
      path,
      text: part(0, start) + replacement + part(end),
      around,
    });
  };
  /** Another expression instead of this one. */
  const replaceExpression = (node, replacement, [start, end] = rangeOf(node)) => {
    const range = rangeOf(node);
    const whole = part(range[0], start) + replacement + part(end, range[1]);
    replace(start, end, replacement, { range, before: `(@ ? ${whole} : `, after: ")" });
  };
  const replaceOperator = (node, left, right, around) => {
    const [from, to] = [rangeOf(left)[1], rangeOf(right)[0]];
    const at = from + part(from, to).indexOf(node.operator);
    const others = BINARY[node.operator] ?? [];
    for (const other of node.isWholeCondition ? others.filter(isNearby(node.operator)) : others) {
      around(other, [at, at + node.operator.length]);
    }
  };
  const aroundYul = (node, range, replacement, before, after) =>
    replace(...range, replacement, { range: rangeOf(node), before, after, isYul: true });
  const replaceYul = (node, range, replacement, whole) => {
    aroundYul(node, range, replacement, `add(mul(@, ${whole}), mul(iszero(@), `, "))");
  };
  const forceCondition = (node) => {
    for (const value of ["true", "false"]) replaceExpression(node.condition, value);
  };

  const visitors = {
    BinaryOperation(node) {
      node.rightExpression.conversion = conversionTo(node.commonType.typeString);
      // A number alone is as wide as it has to be, a choice of two as wide as they are.
      if (node.operator === "<<") node.leftExpression.conversion = ["uint256", ""];
      replaceOperator(node, node.leftExpression, node.rightExpression, (other, range) =>
        replaceExpression(node, other, range),
      );
    },
    Assignment(node) {
      replaceOperator(node, node.leftHandSide, node.rightHandSide, (other, range) => replace(...range, other));
    },
    UnaryOperation(node) {
      if (node.operator === "!") replaceExpression(node, code(node.subExpression));
      if (node.operator === "++") replaceExpression(node, `--${code(node.subExpression)}`);
    },
    IfStatement(node) {
      forceCondition(node);
      // What always or never holds is worse than the opposite, and never reverting is the same as no revert.
      node.condition.isWholeCondition = true;
      if (!node.falseBody) node.trueBody.isAlone = true;
    },
    Conditional: forceCondition,
    VariableDeclaration(node) {
      if (!node.constant || node.value?.kind !== "number") return;
      // In assembly a constant must be a number, and what is meant as bytes is not one.
      node.value.isNumber = usedInAssembly.has(node.id);
      node.value.conversion = conversionTo(node.typeName.name);
    },
    FunctionCall(node) {
      const [argument] = node.arguments;
      if (node.kind !== "typeConversion" || argument.kind !== "number") return;
      argument.isFixed = true;
      replaceExpression(node, code(node).replace(argument.value, String(BigInt(argument.value) + 1n)));
    },
    Literal(node) {
      const [start] = rangeOf(node);
      if (node.kind === "bool") replaceExpression(node, node.value === "true" ? "false" : "true");
      if (node.kind === "string") replaceExpression(node, '""');
      if (node.kind === "number") {
        const [digits] = code(node).match(/^\w+/);
        const next = String(BigInt(digits.replaceAll("_", "")) + 1n);
        replaceExpression(node, next, [start, start + digits.length]);
        const { around } = mutants.at(-1);
        const [open, close] = node.conversion ?? ["", ""];
        mutants.at(-1).around = node.isNumber
          ? undefined
          : { ...around, before: open + around.before, after: around.after + close };
      }
    },
    MemberAccess(node) {
      if (code(node) === "msg.sender") replaceExpression(node, "tx.origin");
    },
    ModifierInvocation(node) {
      if (node.kind === "modifierInvocation") replace(...rangeOf(node), "");
    },
    UncheckedBlock: (node) => replace(...rangeOf(node), code(node).replace("unchecked", "")),
    YulFunctionCall(node) {
      const other = YUL[node.functionName.name];
      if (other) replaceYul(node, rangeOf(node.functionName), other, code(node).replace(/^\w+/, other));
      if (other === "") replaceYul(node, rangeOf(node), code(node.arguments[0]), code(node.arguments[0]));
    },
    YulLiteral(node) {
      const next = node.kind === "number" && String(BigInt(node.value) + 1n);
      if (next) aroundYul(node, rangeOf(node), next, "add(@, ", ")");
    },
    YulIf({ condition }) {
      aroundYul(condition, rangeOf(condition), "1", "or(@, ", ")");
      aroundYul(condition, rangeOf(condition), "0", "and(iszero(@), ", ")");
    },
    YulCase(node) {
      if (node.value !== "default") node.value.isFixed = true;
    },
  };

  /** What points into calldata or storage must be assigned on each way through a function. */
  const isPointer = (expression) =>
    /calldata|storage pointer/.test((expression?.leftHandSide ?? expression)?.typeDescriptions?.typeString);

  const removeStatement = (node) => {
    const [start, end] = rangeOf(node);
    const semicolon = text.indexOf(";", end - 1);
    // The step of a loop has none.
    if (part(end, semicolon).trim() !== "") return;
    const range = [start, semicolon + 1];
    const isNeeded = isPointer(node.expression);
    replace(...range, "{}", isNeeded ? undefined : { range, before: "{ if (!@) ", after: " }" });
  };
  const removeYulStatement = (node) => {
    const isNeeded = node.variableNames?.some(({ name }) => name.includes("."));
    if (isNeeded) replace(...rangeOf(node), "{}");
    else aroundYul(node, rangeOf(node), "{}", "if iszero(@) { ", " }");
  };

  const usedInAssembly = new Set();
  const look = (node) => {
    for (const { declaration } of node?.externalReferences ?? []) usedInAssembly.add(declaration);
    if (node !== null && typeof node === "object") Object.values(node).forEach(look);
  };
  look(ast.nodes);

  const visit = (node) => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (node === null || typeof node !== "object") return;
    if (["ImportDirective", "PragmaDirective"].includes(node.nodeType) || node.isFixed) return;
    visitors[node.nodeType]?.(node);
    if (STATEMENTS.includes(node.nodeType) && !node.isAlone) removeStatement(node);
    if (YUL_STATEMENTS.includes(node.nodeType)) removeYulStatement(node);
    Object.values(node).forEach(visit);
  };
  visit(ast.nodes);
  return mutants;
}
