// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @notice A draft for measuring, never deployed: a batch of holds shares one slot. docs/contract.md says why it stays one.
contract SharedSlot {
    struct Terms {
        address sender;
        address receiver;
        address token;
        uint96 hold;
        uint40 expiresAt;
        bytes32 preauthId;
    }

    struct Item {
        Terms terms;
        bytes32 root;
        uint8 index;
        uint96 amount;
        bytes32[] proof;
    }

    event Authorized(bytes32 indexed preauthId, bytes32 root);
    event Closed(bytes32 indexed preauthId, uint96 amount);

    error Refused();

    uint256 private constant LOCKED = 1 << 255;

    /// @dev Bit 255 says that the batch is locked, the others which of its leaves are closed.
    mapping(bytes32 root => uint256) public batches;
    address private immutable OPERATOR = msg.sender;

    function authorizeMany(Terms[] calldata terms) external returns (bytes32 root) {
        if (msg.sender != OPERATOR) revert Refused();
        uint256 width = 1;
        while (width < terms.length) width *= 2;
        if (terms.length == 0 || width > 128) revert Refused();
        bytes32[] memory nodes = new bytes32[](width);
        for (uint256 i; i < terms.length; ++i) {
            nodes[i] = leafOf(terms[i]);
        }
        for (; width > 1; width /= 2) {
            for (uint256 i; i < width / 2; ++i) {
                nodes[i] = _node(nodes[2 * i], nodes[2 * i + 1]);
            }
        }
        root = nodes[0];
        if (batches[root] != 0) revert Refused();
        batches[root] = LOCKED;
        for (uint256 i; i < terms.length; ++i) {
            Terms calldata t = terms[i];
            if (t.hold == 0 || t.expiresAt <= block.timestamp) revert Refused();
            emit Authorized(t.preauthId, root);
            uint256 before = IERC20(t.token).balanceOf(address(this));
            if (!IERC20(t.token).transferFrom(t.sender, address(this), t.hold)) revert Refused();
            if (IERC20(t.token).balanceOf(address(this)) - before != t.hold) revert Refused();
        }
    }

    function settleMany(Item[] calldata items) external {
        if (msg.sender != OPERATOR) revert Refused();
        for (uint256 i; i < items.length; ++i) {
            if (block.timestamp >= items[i].terms.expiresAt) revert Refused();
            _close(items[i], items[i].amount);
        }
    }

    function expireMany(Item[] calldata items) external {
        for (uint256 i; i < items.length; ++i) {
            if (block.timestamp < items[i].terms.expiresAt) revert Refused();
            _close(items[i], 0);
        }
    }

    function leafOf(Terms calldata terms) public pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x00), abi.encode(terms)));
    }

    function _close(Item calldata item, uint96 amount) private {
        Terms calldata t = item.terms;
        bytes32 node = leafOf(t);
        uint256 path = item.index;
        for (uint256 i; i < item.proof.length; ++i) {
            node = path & 1 == 0 ? _node(node, item.proof[i]) : _node(item.proof[i], node);
            path >>= 1;
        }
        uint256 state = batches[item.root];
        if (path != 0 || node != item.root || state == 0 || state >> item.index & 1 != 0 || amount > t.hold) {
            revert Refused();
        }
        batches[item.root] = state | 1 << item.index;
        emit Closed(t.preauthId, amount);
        if (amount != 0 && !IERC20(t.token).transfer(t.receiver, amount)) revert Refused();
        if (amount != t.hold && !IERC20(t.token).transfer(t.sender, t.hold - amount)) revert Refused();
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(bytes1(0x01), left, right));
    }
}

/// @notice What the token alone costs: in, on and back, and nothing remembered.
contract Floor {
    function move(IERC20 token, address[] calldata senders, address receiver, uint256 hold, uint256 amount) external {
        for (uint256 i; i < senders.length; ++i) {
            token.transferFrom(senders[i], address(this), hold);
            token.transfer(receiver, amount);
            token.transfer(senders[i], hold - amount);
        }
    }
}
