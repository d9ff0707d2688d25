// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {Groups} from "./Groups.sol";

/// @title A draft for measuring: holds that are locked together share a storage slot
/// @notice Checks, calls and token handling are those of PreauthEscrow; consent is by allowance only, and a failed call
/// does not tell its reason. docs/contract.md says what became of it.
contract SharedSlotEscrow is Groups, Ownable {
    using SafeERC20 for IERC20;

    bytes32 private constant TERMS_TYPEHASH = keccak256(
        "Terms(address sender,address receiver,address token,uint96 hold,uint40 expiresAt,bytes32 preauthId)"
    );

    /// @dev A call is its operation, the packed terms, and what the operation needs besides.
    uint256 private constant RAW_LENGTH = 110;
    uint256 private constant RAW_PREAUTH_ID = 78;
    uint256 private constant AMOUNT_LENGTH = 12;

    uint256 private constant AUTHORIZE = 1;
    uint256 private constant SETTLE = 2;
    uint256 private constant CANCEL = 3;
    uint256 private constant EXPIRE = 4;

    uint256 private constant CALL_OVERHEAD = 5000;
    uint256 private constant REFUND_GAS = 100_000;
    uint256 private constant MARKS = 88;
    uint40 private constant MAX_HOLD = 90 days;

    uint256 private constant IDLE = 0;
    uint256 private constant OPERATING = 1;
    uint256 private constant COLLECTING = 2;

    address private operator;
    uint88 private demandMarks;
    bool private paused;

    mapping(address receiver => bool) private isReceiver;
    mapping(address sender => bool) private signedConsentRequired;
    mapping(address sender => mapping(address token => uint256)) public claimable;

    uint256 private transient entered;

    error Paused();

    modifier exclusive(uint256 during) {
        if (entered != during) revert IPreauthEscrow.Reentered();
        entered = OPERATING;
        _;
        entered = during;
    }

    constructor(address operator_, uint256 depth) Ownable(msg.sender) Groups(depth) {
        operator = operator_;
    }

    function registerReceiver(address receiver) external onlyOwner {
        isReceiver[receiver] = true;
    }

    function setPaused(bool paused_) external onlyOwner {
        paused = paused_;
    }

    function requireSignedConsent() external {
        demandMarks |= _markOf(msg.sender);
        signedConsentRequired[msg.sender] = true;
    }

    // -------------------------------------------------------------- operations

    /// @notice Lock the holds of these calls, each for itself, into groups. `known` is `head` as the caller knows it.
    function authorizeMany(uint256 known, bytes calldata calls, uint256 gasPerCall) external {
        if (entered != IDLE) revert IPreauthEscrow.Reentered();
        if (msg.sender != operator) revert IPreauthEscrow.NotOperator(msg.sender);
        _checkHead(known);
        entered = COLLECTING;
        bytes32[] memory leaves = _perform(calls, gasPerCall);
        entered = IDLE;
        _append(leaves);
    }

    /// @notice Close holds: settle, cancel and expire, each for itself.
    function batch(bytes calldata calls, uint256 gasPerCall) external {
        if (entered != IDLE) revert IPreauthEscrow.Reentered();
        _perform(calls, gasPerCall);
    }

    /// @notice One call, raw. Answers the leaf of what was locked.
    function performRaw() external returns (bytes32 leaf) {
        if (msg.data.length < 4 + RAW_LENGTH) revert IPreauthEscrow.InvalidCall(0);
        IPreauthEscrow.Terms memory terms = IPreauthEscrow.Terms({
            sender: address(bytes20(_calldataWord(5))),
            receiver: address(bytes20(_calldataWord(25))),
            token: address(bytes20(_calldataWord(45))),
            hold: uint96(bytes12(_calldataWord(65))),
            expiresAt: uint40(bytes5(_calldataWord(77))),
            preauthId: _calldataWord(82)
        });
        bytes calldata rest = msg.data[4 + RAW_LENGTH:];
        uint256 operation = uint8(bytes1(_calldataWord(4)));
        if (operation == AUTHORIZE && rest.length == 0) return _authorize(terms);
        if (operation == SETTLE && rest.length >= AMOUNT_LENGTH + PLACE_LENGTH) {
            _settle(terms, uint96(bytes12(rest)), rest[AMOUNT_LENGTH:]);
        } else if (operation == CANCEL && rest.length >= PLACE_LENGTH) {
            _cancel(terms, rest);
        } else if (operation == EXPIRE && rest.length >= PLACE_LENGTH) {
            _expire(terms, rest);
        } else {
            revert IPreauthEscrow.InvalidCall(0);
        }
    }

    function claim(address sender, address token) external exclusive(IDLE) {
        uint256 amount = claimable[sender][token];
        if (amount == 0) revert IPreauthEscrow.NothingToClaim(sender, token);
        delete claimable[sender][token];
        emit IPreauthEscrow.Claimed(sender, token, amount);
        IERC20(token).safeTransfer(sender, amount);
    }

    // -------------------------------------------------------- what operations do

    /// @dev Only from `authorizeMany`, which keeps the answer.
    function _authorize(IPreauthEscrow.Terms memory terms) private exclusive(COLLECTING) returns (bytes32 leaf) {
        (address lead, uint88 marks, bool isPaused) = (operator, demandMarks, paused);
        if (msg.sender != lead) revert IPreauthEscrow.NotOperator(msg.sender);
        _useOnce(terms.preauthId);
        if (isPaused) revert Paused();
        _checkTerms(terms);
        if (marks & _markOf(terms.sender) != 0 && signedConsentRequired[terms.sender]) {
            revert IPreauthEscrow.ConsentRequired(terms.sender);
        }
        if (!isReceiver[terms.receiver]) revert IPreauthEscrow.ReceiverNotRegistered(terms.receiver);
        emit IPreauthEscrow.Authorized(
            terms.preauthId, terms.sender, terms.receiver, terms.token, terms.hold, terms.expiresAt
        );

        uint256 balanceBefore = _balance(terms.token);
        IERC20(terms.token).safeTransferFrom(terms.sender, address(this), terms.hold);
        uint256 balanceAfter = _balance(terms.token);
        unchecked {
            uint256 received = balanceAfter - balanceBefore;
            if (received != terms.hold) revert IPreauthEscrow.InexactTransfer(terms.hold, received);
        }
        return _hashTerms(terms);
    }

    /// @dev Nothing here: places are used once, preauth ids are not.
    function _useOnce(bytes32 preauthId) internal virtual {}

    function _settle(IPreauthEscrow.Terms memory terms, uint96 amount, bytes calldata place) private exclusive(IDLE) {
        if (msg.sender != operator) revert IPreauthEscrow.NotOperator(msg.sender);
        if (block.timestamp >= terms.expiresAt) {
            revert IPreauthEscrow.PreauthExpired(terms.preauthId, terms.expiresAt);
        }
        if (amount == 0 || amount > terms.hold) revert IPreauthEscrow.InvalidAmount(amount);

        _close(terms.preauthId, _hashTerms(terms), place, IPreauthEscrow.Status.Settled);
        emit IPreauthEscrow.Settled(terms.preauthId, amount);

        IERC20(terms.token).safeTransfer(terms.receiver, amount);
        unchecked {
            _refund(terms, terms.hold - amount);
        }
    }

    function _cancel(IPreauthEscrow.Terms memory terms, bytes calldata place) private exclusive(IDLE) {
        if (msg.sender != terms.receiver && msg.sender != operator) revert IPreauthEscrow.NotOperator(msg.sender);
        _close(terms.preauthId, _hashTerms(terms), place, IPreauthEscrow.Status.Cancelled);
        emit IPreauthEscrow.Cancelled(terms.preauthId);
        _refund(terms, terms.hold);
    }

    function _expire(IPreauthEscrow.Terms memory terms, bytes calldata place) private exclusive(IDLE) {
        if (block.timestamp < terms.expiresAt) revert IPreauthEscrow.NotExpired(terms.preauthId, terms.expiresAt);
        _close(terms.preauthId, _hashTerms(terms), place, IPreauthEscrow.Status.Expired);
        emit IPreauthEscrow.Expired(terms.preauthId);
        _refund(terms, terms.hold);
    }

    function _refund(IPreauthEscrow.Terms memory terms, uint96 amount) private {
        if (amount == 0 || _tryTransfer(terms.token, terms.sender, amount)) return;
        claimable[terms.sender][terms.token] += amount;
        emit IPreauthEscrow.RefundDeferred(terms.preauthId, terms.sender, terms.token, amount);
    }

    function _hashTerms(IPreauthEscrow.Terms memory terms) private pure returns (bytes32 termsHash) {
        bytes32 typeHash = TERMS_TYPEHASH;
        assembly ("memory-safe") {
            let encoded := mload(0x40)
            mstore(encoded, typeHash)
            mcopy(add(encoded, 0x20), terms, 0xc0)
            termsHash := keccak256(encoded, 0xe0)
        }
    }

    // ------------------------------------------------------------------- checks

    function _checkTerms(IPreauthEscrow.Terms memory terms) private view {
        if (terms.hold == 0) revert IPreauthEscrow.InvalidAmount(terms.hold);
        unchecked {
            if (terms.expiresAt - block.timestamp - 1 >= MAX_HOLD) {
                revert IPreauthEscrow.InvalidExpiry(terms.expiresAt);
            }
        }
        _checkParty(terms.sender, terms.token);
        _checkParty(terms.receiver, terms.token);
        if (terms.receiver == terms.sender) revert IPreauthEscrow.InvalidParty(terms.receiver);
    }

    function _checkParty(address party, address token) private view {
        if (party == address(0)) revert IPreauthEscrow.InvalidParty(party);
        if (party == address(this)) revert IPreauthEscrow.InvalidParty(party);
        if (party == token) revert IPreauthEscrow.InvalidParty(party);
    }

    function _checkGas(uint256 required) private view {
        uint256 left = gasleft();
        if (left < CALL_OVERHEAD) revert IPreauthEscrow.InsufficientGas(required);
        unchecked {
            left -= CALL_OVERHEAD;
            if (left - left / 64 < required) revert IPreauthEscrow.InsufficientGas(required);
        }
    }

    function _markOf(address sender) private pure returns (uint88) {
        return uint88(1 << (uint160(sender) % MARKS));
    }

    // ----------------------------------------------------------- calls and tokens

    /// @dev Answers what the calls that succeeded answered, without the zeros.
    function _perform(bytes calldata calls, uint256 gasPerCall) private returns (bytes32[] memory answers) {
        bytes calldata rest = calls;
        answers = _emptyList(calls.length / RAW_LENGTH);
        bytes4 selector = this.performRaw.selector;
        for (uint256 i = 0; rest.length != 0; ++i) {
            bytes calldata call;
            (call, rest) = _firstCall(rest, i);
            assembly ("memory-safe") {
                let data := mload(0x40)
                mstore(data, selector)
                calldatacopy(add(data, 0x04), call.offset, call.length)
            }
            _checkGas(gasPerCall);
            bool success;
            assembly ("memory-safe") {
                success := delegatecall(gasPerCall, address(), mload(0x40), add(call.length, 0x04), 0x00, 0x20)
                if and(success, iszero(iszero(mload(0x00)))) {
                    let length := add(mload(answers), 1)
                    mstore(answers, length)
                    mstore(add(answers, shl(5, length)), mload(0x00))
                }
            }
            if (!success) {
                emit IPreauthEscrow.CallFailed(bytes32(call[RAW_PREAUTH_ID:]), i, uint8(call[0]), "");
            }
        }
    }

    function _firstCall(bytes calldata calls, uint256 index)
        private
        pure
        returns (bytes calldata call, bytes calldata rest)
    {
        uint256 missing;
        assembly ("memory-safe") {
            call.length := shr(240, calldataload(calls.offset))
            call.offset := add(calls.offset, 2)
            rest.offset := add(call.offset, call.length)
            rest.length := sub(sub(calls.length, call.length), 2)
            missing := or(lt(call.length, RAW_LENGTH), gt(rest.length, calls.length))
        }
        if (missing != 0) revert IPreauthEscrow.InvalidCall(index);
    }

    function _calldataWord(uint256 offset) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(offset)
        }
    }

    function _emptyList(uint256 most) private pure returns (bytes32[] memory list) {
        assembly ("memory-safe") {
            list := mload(0x40)
            mstore(list, 0)
            mstore(0x40, add(list, mul(add(most, 1), 0x20)))
        }
    }

    function _tryTransfer(address token, address to, uint256 amount) private returns (bool success) {
        bytes4 selector = IERC20.transfer.selector;
        _checkGas(REFUND_GAS);
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, selector)
            mstore(add(data, 0x04), to)
            mstore(add(data, 0x24), amount)
            mstore(0x00, 0)
            success := call(REFUND_GAS, token, 0, data, 0x44, 0x00, 0x20)
            switch returndatasize()
            case 0 { success := and(success, iszero(iszero(extcodesize(token)))) }
            default { success := and(success, eq(mload(0x00), 1)) }
        }
    }

    function _balance(address token) private view returns (uint256 amount) {
        bytes4 selector = IERC20.balanceOf.selector;
        bool success;
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, address())
            success := staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20)
            success := and(success, gt(returndatasize(), 0x1f))
            amount := mload(0x00)
        }
        if (!success) revert SafeERC20.SafeERC20FailedOperation(token);
    }
}
