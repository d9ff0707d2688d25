// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {Consent} from "./Consent.sol";
import {Gate} from "./Gate.sol";

/// @title PreauthEscrow
/// @notice See IPreauthEscrow, which holds the words. The admin is the `owner` of Ownable2Step.
/// @dev Order inside a method: checks, effects, event, transfers. What moves tokens is `exclusive`.
contract PreauthEscrow is Consent, Ownable2Step, Gate, Pausable {
    using SafeERC20 for IERC20;

    /// @dev Room for what runs between the gas check and the call it guards, a cold account (2,600) included.
    uint256 private constant CALL_OVERHEAD = 5000;

    /// @dev What a raw call begins with: operation, sender, receiver, token, hold, expiresAt and preauthId, packed.
    uint256 private constant RAW_LENGTH = 110;
    uint256 private constant RAW_PREAUTH_ID = 78;

    uint256 private constant AUTHORIZE = 1;
    uint256 private constant SETTLE = 2;
    uint256 private constant CANCEL = 3;
    uint256 private constant EXPIRE = 4;

    /// @dev Revert data that is kept of a failed call: a selector and four words.
    uint256 private constant MAX_REASON_LENGTH = 132;

    uint40 private constant LONGEST_RECEIVER_DELAY = 365 days;

    uint256 public constant REFUND_GAS = 100_000;
    uint40 public immutable MAX_HOLD;
    uint40 public immutable RECEIVER_DELAY;

    /// @dev A struct only so that its slot is computed once and handed around.
    struct Record {
        bytes32 word;
    }

    mapping(bytes32 preauthId => Record) public preauths;
    mapping(address receiver => uint40) public receiverActiveFrom;
    mapping(address sender => mapping(address token => uint256)) public claimable;
    address public guardian;

    /// @dev One while an operation or a claim runs, and so whenever foreign code does.
    uint256 private transient entered;

    /// @dev Foreign code that is called by an operation can enter nothing that moves tokens.
    modifier exclusive() {
        if (entered != 0) revert Reentered();
        entered = 1;
        _;
        entered = 0;
    }

    /// @dev For `batch`: its calls take the lock themselves, and between them no foreign code runs. Entered from within
    /// an operation it would tell of failures (`CallFailed`) in a transaction that is not its caller's.
    modifier notEntered() {
        if (entered != 0) revert Reentered();
        _;
    }

    modifier onlyGuardian() {
        if (msg.sender != guardian && msg.sender != owner()) revert NotGuardian(msg.sender);
        _;
    }

    constructor(
        address admin,
        address guardian_,
        address[] memory operators,
        uint40 receiverDelay,
        uint40 maxHold,
        address permit2
    ) Ownable(admin) Consent(permit2) {
        if (maxHold == 0 || receiverDelay > LONGEST_RECEIVER_DELAY) revert InvalidSetting();
        MAX_HOLD = maxHold;
        RECEIVER_DELAY = receiverDelay;
        guardian = guardian_;
        emit GuardianSet(guardian_);
        for (uint256 i = 0; i < operators.length; ++i) {
            _setOperator(operators[i], true);
        }
    }

    // -------------------------------------------------------------- operations

    function authorize(Terms calldata terms, bytes calldata consent) external {
        _authorize(terms, consent);
    }

    function settle(Terms calldata terms, uint96 amount) external {
        _settle(terms, amount);
    }

    function cancel(Terms calldata terms) external {
        _cancel(terms);
    }

    function expire(Terms calldata terms) external {
        _expire(terms);
    }

    function claim(address sender, address token) external exclusive {
        uint256 amount = claimable[sender][token];
        if (amount == 0) revert NothingToClaim(sender, token);

        delete claimable[sender][token];
        emit Claimed(sender, token, amount);

        IERC20(token).safeTransfer(sender, amount);
    }

    /// @dev The name has the lowest selector, which is looked for first: each before it would cost 22 gas.
    function performRaw() external {
        if (msg.data.length < 4 + RAW_LENGTH) revert InvalidCall(0);
        Terms memory terms = Terms({
            sender: address(bytes20(_calldataWord(5))),
            receiver: address(bytes20(_calldataWord(25))),
            token: address(bytes20(_calldataWord(45))),
            hold: uint96(bytes12(_calldataWord(65))),
            expiresAt: uint40(bytes5(_calldataWord(77))),
            preauthId: _calldataWord(82)
        });
        bytes calldata rest = msg.data[4 + RAW_LENGTH:];
        uint256 operation = uint8(bytes1(_calldataWord(4)));
        if (operation == AUTHORIZE) {
            _authorize(terms, rest);
        } else if (operation == SETTLE && rest.length == 12) {
            _settle(terms, uint96(bytes12(rest)));
        } else if (operation == CANCEL && rest.length == 0) {
            _cancel(terms);
        } else if (operation == EXPIRE && rest.length == 0) {
            _expire(terms);
        } else {
            revert InvalidCall(0);
        }
    }

    function batch(bytes calldata calls, uint256 gasPerCall) external notEntered returns (Failure[] memory failures) {
        failures = _emptyList(calls.length / RAW_LENGTH);
        bytes calldata rest = calls;
        for (uint256 i = 0; rest.length != 0;) {
            bytes calldata call;
            (call, rest) = _firstCall(rest, i);
            if (!_delegateToSelf(call, gasPerCall)) {
                bytes memory reason = _boundedReturnData();
                _append(failures, Failure(i, reason));
                emit CallFailed(bytes32(call[RAW_PREAUTH_ID:]), i, uint8(call[0]), reason);
            }
            unchecked {
                ++i;
            }
        }
    }

    // ---------------------------------------------------------- administration

    /// @dev Registering again changes nothing, so it cannot switch off a receiver for another delay by mistake.
    function registerReceiver(address receiver) external onlyOwner {
        if (receiver == address(0)) revert InvalidParty(receiver);
        if (receiverActiveFrom[receiver] != 0) return;
        uint40 activeFrom = uint40(block.timestamp) + RECEIVER_DELAY;
        receiverActiveFrom[receiver] = activeFrom;
        emit ReceiverRegistered(receiver, activeFrom);
    }

    function removeReceiver(address receiver) external onlyOwner {
        delete receiverActiveFrom[receiver];
        emit ReceiverRemoved(receiver);
    }

    function setOperator(address operator, bool allowed) external onlyGuardian {
        if (allowed) _checkOwner();
        _setOperator(operator, allowed);
    }

    function setGuardian(address newGuardian) external onlyOwner {
        guardian = newGuardian;
        emit GuardianSet(newGuardian);
    }

    function pause() external onlyGuardian {
        _pause();
    }

    function unpause() external onlyOwner {
        _unpause();
    }

    /// @dev Without an admin a pause could never end.
    function renounceOwnership() public pure override {
        revert InvalidSetting();
    }

    // -------------------------------------------------------------------- views

    function statusOf(bytes32 preauthId) external view returns (Status) {
        return _status(preauths[preauthId].word);
    }

    // -------------------------------------------------------- what operations do

    function _authorize(Terms memory terms, bytes calldata consent) private exclusive {
        (address lead, uint88 marks, bool isPaused) = (leadOperator, demandMarks, paused());
        if (msg.sender != lead) _checkOperator();
        // Before everything else that can fail: an authorization sent twice always learns that it was.
        Record storage record = preauths[terms.preauthId];
        if (record.word != 0) revert AlreadyUsed(terms.preauthId, _status(record.word));
        if (isPaused) revert EnforcedPause();
        _checkTerms(terms);
        if (consent.length == 0) {
            _checkNoDemand(terms.sender, marks);
            _checkRegistered(terms.receiver);
        }

        bytes32 termsHash = hashTerms(terms);
        record.word = termsHash;
        emit Authorized(terms.preauthId, terms.sender, terms.receiver, terms.token, terms.hold, terms.expiresAt);

        uint256 balanceBefore = _balance(terms.token);
        if (consent.length == 0) IERC20(terms.token).safeTransferFrom(terms.sender, address(this), terms.hold);
        else _pullSigned(terms, termsHash, consent);
        uint256 balanceAfter = _balance(terms.token);
        unchecked {
            // A token that lowers the balance wraps around, which is as wrong as any other amount.
            uint256 received = balanceAfter - balanceBefore;
            if (received != terms.hold) revert InexactTransfer(terms.hold, received);
        }
    }

    function _settle(Terms memory terms, uint96 amount) private exclusive {
        _checkOperator();
        Record storage record = _openRecord(terms);
        if (block.timestamp >= terms.expiresAt) revert PreauthExpired(terms.preauthId, terms.expiresAt);
        if (amount == 0 || amount > terms.hold) revert InvalidAmount(amount);

        _close(record, Status.Settled);
        emit Settled(terms.preauthId, amount);

        IERC20(terms.token).safeTransfer(terms.receiver, amount);
        unchecked {
            _refund(terms, terms.hold - amount);
        }
    }

    function _cancel(Terms memory terms) private exclusive {
        // Terms that name the caller as receiver but were never locked are refused by the next check.
        if (msg.sender != terms.receiver) _checkOperator();
        Record storage record = _openRecord(terms);

        _close(record, Status.Cancelled);
        emit Cancelled(terms.preauthId);

        _refund(terms, terms.hold);
    }

    function _expire(Terms memory terms) private exclusive {
        Record storage record = _openRecord(terms);
        if (block.timestamp < terms.expiresAt) revert NotExpired(terms.preauthId, terms.expiresAt);

        _close(record, Status.Expired);
        emit Expired(terms.preauthId);

        _refund(terms, terms.hold);
    }

    function _refund(Terms memory terms, uint96 amount) private {
        if (amount == 0 || _tryTransfer(terms.token, terms.sender, amount)) return;
        claimable[terms.sender][terms.token] += amount;
        emit RefundDeferred(terms.preauthId, terms.sender, terms.token, amount);
    }

    // ------------------------------------------------------------------- checks

    function _checkTerms(Terms memory terms) private view {
        if (terms.hold == 0) revert InvalidAmount(terms.hold);
        unchecked {
            // What is not after now wraps around, beyond any longest hold.
            if (terms.expiresAt - block.timestamp - 1 >= MAX_HOLD) revert InvalidExpiry(terms.expiresAt);
        }
        _checkParty(terms.sender, terms.token);
        _checkParty(terms.receiver, terms.token);
        if (terms.receiver == terms.sender) revert InvalidParty(terms.receiver);
    }

    /// @dev One by one: an `||` costs a jump there and back.
    function _checkParty(address party, address token) private view {
        if (party == address(0)) revert InvalidParty(party);
        if (party == address(this)) revert InvalidParty(party);
        if (party == token) revert InvalidParty(party);
    }

    function _checkRegistered(address receiver) private view {
        uint256 activeFrom = receiverActiveFrom[receiver];
        unchecked {
            // Zero, not registered, wraps around, beyond any time.
            if (activeFrom - 1 >= block.timestamp) revert ReceiverNotRegistered(receiver);
        }
    }

    function _openRecord(Terms memory terms) private view returns (Record storage record) {
        record = preauths[terms.preauthId];
        if (record.word != hashTerms(terms)) {
            Status status = _status(record.word);
            if (status == Status.Open) revert TermsMismatch(terms.preauthId);
            revert NotOpen(terms.preauthId, status);
        }
    }

    /// @dev The first call of a batch, without its length, and what follows it. In assembly for gas: slices check each
    /// of their ends.
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
        if (missing != 0) revert InvalidCall(index);
    }

    /// @dev A call gets at most 63/64 of the gas left, silently. Reverts unless the next call can be given `required`.
    function _checkGas(uint256 required) private view {
        uint256 left = gasleft();
        if (left < CALL_OVERHEAD) revert InsufficientGas(required);
        unchecked {
            left -= CALL_OVERHEAD;
            if (left - left / 64 < required) revert InsufficientGas(required);
        }
    }

    // ------------------------------------------------------------------ effects

    /// @dev An open preauth stores the hash of its terms, a closed one its status: no hash is that small.
    function _status(bytes32 word) private pure returns (Status) {
        if (word == 0) return Status.None;
        return uint256(word) <= uint256(type(Status).max) ? Status(uint256(word)) : Status.Open;
    }

    function _close(Record storage record, Status status) private {
        record.word = bytes32(uint256(status));
    }

    // -------------------------------------------------------------- guarded calls

    /// @dev A transfer that neither the token can block nor the caller starve: it is given `REFUND_GAS`, no less and
    /// no more. In assembly because Solidity copies all return data, which a token may make as large as it likes.
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
            // As SafeERC20: the answer is true (a shorter one leaves zeros), or there is none and the account has code.
            switch returndatasize()
            case 0 { success := and(success, iszero(iszero(extcodesize(token)))) }
            default { success := and(success, eq(mload(0x00), 1)) }
        }
    }

    /// @dev In assembly for the same reason, and to use one piece of memory for all calls of a batch: it lies behind
    /// the free memory pointer, which does not move (`_checkGas` writes memory only to revert).
    function _delegateToSelf(bytes calldata call, uint256 gasPerCall) private returns (bool success) {
        bytes4 selector = this.performRaw.selector;
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, selector)
            calldatacopy(add(data, 0x04), call.offset, call.length)
        }
        _checkGas(gasPerCall);
        assembly ("memory-safe") {
            success := delegatecall(gasPerCall, address(), mload(0x40), add(call.length, 0x04), 0, 0)
        }
    }

    /// @dev In assembly for a named error where a decoder would revert without one, and for gas.
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

    function _calldataWord(uint256 offset) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := calldataload(offset)
        }
    }

    /// @dev A list with room for `most` failures.
    function _emptyList(uint256 most) private pure returns (Failure[] memory list) {
        assembly ("memory-safe") {
            list := mload(0x40)
            mstore(list, 0)
            mstore(0x40, add(list, mul(add(most, 1), 0x20)))
        }
    }

    function _append(Failure[] memory list, Failure memory failure) private pure {
        assembly ("memory-safe") {
            let length := add(mload(list), 1)
            mstore(list, length)
            mstore(add(list, mul(length, 0x20)), failure)
        }
    }

    function _boundedReturnData() private pure returns (bytes memory data) {
        assembly ("memory-safe") {
            let size := returndatasize()
            if gt(size, MAX_REASON_LENGTH) { size := MAX_REASON_LENGTH }
            data := mload(0x40)
            mstore(data, size)
            returndatacopy(add(data, 0x20), 0, size)
            // A whole number of words, so that what follows stays aligned and the padding is zero.
            mstore(add(add(data, 0x20), size), 0)
            mstore(0x40, and(add(add(data, 0x3f), size), not(0x1f)))
        }
    }
}
