// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {StdAssertions} from "forge-std/StdAssertions.sol";
import {StdUtils} from "forge-std/StdUtils.sol";
import {Vm} from "forge-std/Vm.sol";

import {PreauthEscrow} from "../src/PreauthEscrow.sol";
import {DemoToken} from "../src/dev/DemoToken.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";

/// @dev What every test stands on: an escrow, a token, a payer with an allowance and a registered receiver.
/// It takes the parts of forge-std it needs: all of it is more than the compiler in JavaScript can hold.
abstract contract EscrowTest is StdAssertions, StdUtils {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint40 internal constant DELAY = 48 hours;
    uint40 internal constant LONGEST = 90 days;
    uint96 internal constant HOLD = 120_500_000;
    uint96 internal constant AMOUNT = 80_000_000;
    uint256 internal constant FUNDS = 1_000_000_000_000;
    uint256 internal constant GAS_PER_CALL = 400_000;

    /// @dev Where Permit2 is on every chain.
    address internal constant PERMIT2 = 0x000000000022D473030F116dDEE9F6B43aC78BA3;

    PreauthEscrow internal escrow;
    DemoToken internal token;

    address internal admin = actor("admin");
    address internal guardian = actor("guardian");
    address internal operator = actor("operator");
    address internal receiver = actor("receiver");
    address internal sender = actor("sender");
    address internal stranger = actor("stranger");

    uint256 private lastPreauth;

    function setUp() public virtual {
        vm.warp(1_760_000_000);
        vm.etch(PERMIT2, vm.parseJsonBytes(vm.readFile("contracts/artifacts/Permit2.json"), ".deployedBytecode"));
        address[] memory operators = new address[](1);
        operators[0] = operator;
        escrow = new PreauthEscrow(admin, guardian, operators, DELAY, LONGEST, PERMIT2);
        token = new DemoToken("Demo Dollar", "DUSD", 6);
        token.mint(sender, FUNDS);
        vm.prank(sender);
        token.approve(address(escrow), type(uint256).max);
        vm.prank(admin);
        escrow.registerReceiver(receiver);
        vm.warp(block.timestamp + DELAY);
    }

    // ------------------------------------------------------------------ actors

    function actor(string memory name) internal returns (address account) {
        account = vm.addr(keyOf(name));
        vm.label(account, name);
    }

    function keyOf(string memory name) internal pure returns (uint256) {
        return uint256(keccak256(bytes(name)));
    }

    // ------------------------------------------------------------------- terms

    /// @dev Fresh terms that nothing is wrong with.
    function someTerms() internal returns (IPreauthEscrow.Terms memory) {
        return IPreauthEscrow.Terms({
            sender: sender,
            receiver: receiver,
            token: address(token),
            hold: HOLD,
            expiresAt: uint40(vm.getBlockTimestamp() + 1 days),
            preauthId: keccak256(abi.encode("preauth", ++lastPreauth))
        });
    }

    function someTerms(address paidIn) internal returns (IPreauthEscrow.Terms memory terms) {
        terms = someTerms();
        terms.token = paidIn;
    }

    function lock(IPreauthEscrow.Terms memory terms) internal {
        vm.prank(operator);
        escrow.authorize(terms, "");
    }

    function someHold() internal returns (IPreauthEscrow.Terms memory terms) {
        terms = someTerms();
        lock(terms);
    }

    function someHold(address paidIn) internal returns (IPreauthEscrow.Terms memory terms) {
        terms = someTerms(paidIn);
        lock(terms);
    }

    // --------------------------------------------------------------------- raw calls

    /// @dev What a batch did with one of its calls.
    struct Outcome {
        bool success;
        bytes reason;
    }

    function raw(uint8 operation, IPreauthEscrow.Terms memory terms, bytes memory rest)
        internal
        pure
        returns (bytes memory)
    {
        return abi.encodePacked(
            IPreauthEscrow.performRaw.selector,
            operation,
            terms.sender,
            terms.receiver,
            terms.token,
            terms.hold,
            terms.expiresAt,
            terms.preauthId,
            rest
        );
    }

    function authorizing(IPreauthEscrow.Terms memory terms) internal pure returns (bytes memory) {
        return raw(1, terms, "");
    }

    function authorizing(IPreauthEscrow.Terms memory terms, bytes memory consent) internal pure returns (bytes memory) {
        return raw(1, terms, consent);
    }

    function settling(IPreauthEscrow.Terms memory terms, uint96 amount) internal pure returns (bytes memory) {
        return raw(2, terms, abi.encodePacked(amount));
    }

    function cancelling(IPreauthEscrow.Terms memory terms) internal pure returns (bytes memory) {
        return raw(3, terms, "");
    }

    function expiring(IPreauthEscrow.Terms memory terms) internal pure returns (bytes memory) {
        return raw(4, terms, "");
    }

    // ----------------------------------------------------------------------- batches

    /// @dev Calls as a batch takes them: without the selector, each after its length.
    function list(bytes memory one) internal pure returns (bytes memory) {
        bytes memory item = new bytes(one.length - 4);
        assembly ("memory-safe") {
            mcopy(add(item, 0x20), add(one, 0x24), mload(item))
        }
        return abi.encodePacked(uint16(item.length), item);
    }

    function list(bytes memory one, bytes memory two) internal pure returns (bytes memory) {
        return bytes.concat(list(one), list(two));
    }

    function list(bytes memory one, bytes memory two, bytes memory three) internal pure returns (bytes memory) {
        return bytes.concat(list(one), list(two), list(three));
    }

    function list(bytes[] memory all) internal pure returns (bytes memory calls) {
        for (uint256 i = 0; i < all.length; ++i) {
            calls = bytes.concat(calls, list(all[i]));
        }
    }

    function batching(bytes memory calls, uint256 gasPerCall) internal pure returns (bytes memory) {
        return abi.encodeCall(IPreauthEscrow.batch, (calls, gasPerCall));
    }

    function batchBy(address caller, bytes memory calls) internal returns (Outcome[] memory) {
        return batchBy(caller, calls, GAS_PER_CALL);
    }

    function batchBy(address caller, bytes memory calls, uint256 gasPerCall) internal returns (Outcome[] memory) {
        vm.prank(caller);
        return outcomes(calls, escrow.batch(calls, gasPerCall));
    }

    function outcomes(bytes memory calls, IPreauthEscrow.Failure[] memory failures)
        internal
        pure
        returns (Outcome[] memory results)
    {
        uint256 count;
        for (uint256 start = 0; start < calls.length; ++count) {
            start += 2 + (uint256(uint8(calls[start])) << 8) + uint8(calls[start + 1]);
        }
        results = new Outcome[](count);
        for (uint256 i = 0; i < count; ++i) {
            results[i].success = true;
        }
        for (uint256 i = 0; i < failures.length; ++i) {
            require(i == 0 || failures[i].index > failures[i - 1].index, "failures come in their order, once");
            results[failures[i].index] = Outcome(false, failures[i].reason);
        }
    }

    // -------------------------------------------------------------- expectations

    /// @dev The next call is made by `caller` and must fail with an error that carries no data.
    function refused(address caller, bytes4 selector) internal {
        refused(caller, abi.encodePacked(selector));
    }

    /// @dev The next call is made by `caller` and must fail with exactly this error.
    function refused(address caller, bytes memory reason) internal {
        vm.expectRevert(reason);
        vm.prank(caller);
    }

    function alreadyUsed(bytes32 preauthId, IPreauthEscrow.Status status) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IPreauthEscrow.AlreadyUsed.selector, preauthId, status);
    }

    function notOpen(bytes32 preauthId, IPreauthEscrow.Status status) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IPreauthEscrow.NotOpen.selector, preauthId, status);
    }

    function notOperator(address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IPreauthEscrow.NotOperator.selector, caller);
    }

    function termsMismatch(bytes32 preauthId) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IPreauthEscrow.TermsMismatch.selector, preauthId);
    }

    function invalidAmount(uint96 amount) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(IPreauthEscrow.InvalidAmount.selector, amount);
    }

    function assertStatus(IPreauthEscrow.Terms memory terms, IPreauthEscrow.Status expected) internal view {
        assertEq(uint256(escrow.statusOf(terms.preauthId)), uint256(expected), "status");
    }

    function expectEvent() internal {
        vm.expectEmit(address(escrow));
    }

    /// @dev Every way to make the terms other terms under the same preauth id.
    function altered(IPreauthEscrow.Terms memory terms, uint256 field)
        internal
        pure
        returns (IPreauthEscrow.Terms memory other)
    {
        other = abi.decode(abi.encode(terms), (IPreauthEscrow.Terms));
        if (field == 0) other.sender = address(uint160(terms.sender) ^ 1);
        if (field == 1) other.receiver = address(uint160(terms.receiver) ^ 1);
        if (field == 2) other.token = address(uint160(terms.token) ^ 1);
        if (field == 3) other.hold = terms.hold ^ 1;
        if (field == 4) other.expiresAt = terms.expiresAt ^ 1;
    }

    uint256 internal constant ALTERABLE_FIELDS = 5;
}
